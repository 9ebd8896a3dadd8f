"""Embedding: a table that is looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynn.nn import functional as F
from tinynn.nn import init
from tinynn.nn.module import Module
from tinynn.nn.parameter import Parameter
from tinynn.ops.creation import empty

if TYPE_CHECKING:
    from tinynn.autograd import Tensor


class Embedding(Module):
    """y = W[i]: integers of shape (...) -> (..., embedding_dim).

    Arguments:
        num_embeddings: the number of rows; indices are from 0 to num_embeddings - 1.
        embedding_dim: the size of a row.
        padding_idx: a row that is zero at first and gets no gradient, or None.
        device, dtype: of the parameter; None takes the defaults.

    Attributes:
        weight: (num_embeddings, embedding_dim), at first N(0, 1).

    >>> import tinynn as tn
    >>> tn.nn.Embedding(100, 8)(tn.tensor([[1, 2, 3]])).shape
    (1, 3, 8)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(
                f"Embedding: padding_idx is {padding_idx}, expected a row of {num_embeddings}"
            )
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.weight = Parameter(empty(num_embeddings, embedding_dim, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the table anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"

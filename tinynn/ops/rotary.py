"""Rotary position embedding: pairs of numbers turned by angles that grow with the position."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinynn.backend.devices import backend_of
from tinynn.backend.dtypes import is_floating
from tinynn.ops.dims import check_tensor
from tinynn.ops.registry import apply, declare, public

if TYPE_CHECKING:
    from tinynn.autograd import Tensor


# A turn is orthogonal, so that its gradient is the turn back.
ROPE = declare(
    "rope",
    lambda xp, x, cos, sin, *, interleaved: backend_of(x).kernels.rope(
        x, cos, sin, interleaved=interleaved
    ),
    saves=("cos", "sin"),
    vjps=(
        lambda F, g, cos, sin, *, interleaved: F.rope(g, cos, F.neg(sin), interleaved=interleaved),
        None,
        None,
    ),
)


@public
def rope(input: Tensor, cos: Tensor, sin: Tensor, interleaved: bool = False) -> Tensor:
    """Turns each pair (a, b) of a vector: (a cos - b sin, b cos + a sin).

    Rotary position embedding (https://arxiv.org/abs/2104.09864): where the angle of a pair grows
    in proportion to the position, the product of a turned query with a turned key depends on the
    distance between them alone. `nn.RotaryEmbedding` has the tables.

    Arguments:
        input: floats, (..., L, D).
        cos, sin: float32 or float64, (L, R / 2) or of any shape (..., L, R / 2) that broadcasts to
            the input's leading dimensions; R <= D, and what is behind the first R numbers of a
            vector stays as it is. They get no gradient.
        interleaved: pair i is (2 i, 2 i + 1), as in Meta's checkpoints and in GGUF files; else
            (i, i + R / 2), as in Hugging Face's.

    Raises RuntimeError for shapes that do not fit and for other dtypes.

    >>> import tinynn as tn
    >>> quarter = tn.tensor([[0.0]]), tn.tensor([[1.0]])
    >>> tn.nn.functional.rope(tn.tensor([[3.0, 4.0, 5.0]]), *quarter)
    tensor([[-4.,  3.,  5.]])
    """
    check_tensor("rope", input)
    check_tensor("rope", cos, "cos")
    check_tensor("rope", sin, "sin")
    if not is_floating(input.data.dtype):
        raise RuntimeError(f"rope: input must be floats, got {input.dtype}")
    for name, table in (("cos", cos), ("sin", sin)):
        if table.data.dtype not in (np.float32, np.float64):
            raise RuntimeError(f"rope: {name} must be float32 or float64, got {table.dtype}")
    if cos.shape != sin.shape:
        raise RuntimeError(
            f"rope: cos and sin must have one shape, they are {cos.shape} and {sin.shape}"
        )
    if not _fits(cos.shape, input.shape):
        raise RuntimeError(
            f"rope: cos and sin must be (..., L, R / 2) with R <= D, for an input (..., L, D) of "
            f"shape {input.shape}; their shape is {cos.shape}"
        )
    return apply(ROPE, (input, cos, sin), {"interleaved": interleaved})


def _fits(table: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    if not table or not shape or len(table) > len(shape) or 2 * table[-1] > shape[-1]:
        return False
    lead = shape[len(shape) - len(table) : -1]
    return all(own in (1, size) for own, size in zip(table, lead, strict=False))

"""Layers that compute nothing: Identity and Flatten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynn.nn.module import Module

if TYPE_CHECKING:
    from tinynn.autograd import Tensor


class Identity(Module):
    """y = x, whatever its arguments: a place holder for a layer.

    >>> import tinynn as tn
    >>> tn.nn.Identity(54)(tn.tensor([1.0])).tolist()
    [1.0]
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, input: Tensor) -> Tensor:
        return input


class Flatten(Module):
    """Makes one dimension of those from `start_dim` to `end_dim`: (N, C, H, W) -> (N, C*H*W).

    >>> import tinynn as tn
    >>> tn.nn.Flatten()(tn.zeros(64, 1, 28, 28)).shape
    (64, 784)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"

"""Linear: a matrix product and a shift."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tinynn.nn import functional as F
from tinynn.nn import init
from tinynn.nn.module import Module
from tinynn.nn.parameter import Parameter
from tinynn.ops.creation import empty

if TYPE_CHECKING:
    from tinynn.autograd import Tensor


class Linear(Module):
    """y = x W^T + b on the last dimension: (..., in_features) -> (..., out_features).

    Arguments:
        in_features, out_features: the sizes of the last dimension, before and after.
        bias: whether there is a b.
        device, dtype: of the parameters; None takes the defaults.

    Attributes:
        weight: (out_features, in_features), at first U(-k, k) with k = 1 / sqrt(in_features).
        bias: (out_features,), at first from the same range; or None.

    >>> import tinynn as tn
    >>> layer = tn.nn.Linear(784, 10)
    >>> layer(tn.zeros(64, 784)).shape
    (64, 10)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(empty(out_features, in_features, device=device, dtype=dtype))
        self.bias = Parameter(empty(out_features, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(max(self.in_features, 1))
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )

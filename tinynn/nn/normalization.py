"""LayerNorm and RMSNorm: activations brought to one scale, sample by sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynn.nn import functional as F
from tinynn.nn import init
from tinynn.nn.module import Module
from tinynn.nn.parameter import Parameter
from tinynn.ops.creation import empty

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinynn.autograd import Tensor


class LayerNorm(Module):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, over the last dimensions.

    Ba, Kiros and Hinton (2016). The variance is the biased one.

    Arguments:
        normalized_shape: the sizes of the last dimensions, or of the last one.
        eps: added to the variance.
        elementwise_affine: whether there are weight and bias, of shape `normalized_shape`.
        bias: whether there is a bias.
        device, dtype: of the parameters; None takes the defaults.

    >>> import tinynn as tn
    >>> tn.nn.LayerNorm(2, eps=0.0)(tn.tensor([[1.0, 3.0], [0.0, 100.0]])).tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.weight = _parameter(self.normalized_shape, elementwise_affine, device, dtype)
        self.bias = _parameter(self.normalized_shape, elementwise_affine and bias, device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets weight to 1 and bias to 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        affine = self.elementwise_affine
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={affine}"


class RMSNorm(Module):
    """y = x / sqrt(mean(x^2) + eps) * weight, over the last dimensions.

    Zhang and Sennrich (2019). `eps=None` takes the machine epsilon of the input's dtype.

    >>> import tinynn as tn
    >>> tn.nn.RMSNorm(2, eps=0.0)(tn.tensor([7.0, -1.0])).tolist()
    [1.399999976158142, -0.20000000298023224]
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.weight = _parameter(self.normalized_shape, elementwise_affine, device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets weight to 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        affine = self.elementwise_affine
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={affine}"


def _shape(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    if isinstance(normalized_shape, int):
        return (normalized_shape,)
    return tuple(normalized_shape)


def _parameter(shape: tuple[int, ...], wanted: bool, device: Any, dtype: Any) -> Parameter | None:
    return Parameter(empty(shape, device=device, dtype=dtype)) if wanted else None

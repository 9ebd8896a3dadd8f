"""Layer normalization and RMS normalization, each one fused operation over the last dimension."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

from tinynn.backend.dtypes import is_floating
from tinynn.ops.arithmetic import add, mul, sub
from tinynn.ops.dims import check_tensor
from tinynn.ops.elementwise import rsqrt, square
from tinynn.ops.linear_algebra import check_same_dtype
from tinynn.ops.reduction import mean
from tinynn.ops.registry import apply, declare_fused, public
from tinynn.ops.shape import reshape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinynn.autograd import Tensor

# The distance from 1 to the next number, PyTorch's default for what rms_norm adds.
EPSILONS = {"float16": 2**-10, "bfloat16": 2**-7, "float32": 2**-23, "float64": 2**-52}


def _layer_norm_vjp(
    F: Any,
    g: Any,
    x: Any,
    weight: Any,
    center: Any,
    scale: Any,
    *,
    needs: tuple[bool, ...],
    into: Any,
    eps: float,
) -> tuple[Any, ...]:
    gradients = F.kernels.layer_norm_backward(g, x, weight, center, scale)
    return _wanted(gradients, needs)


def _layer_norm_unfused(
    F: Any, input: Tensor, weight: Tensor | None, bias: Tensor | None, *, eps: float
) -> Tensor:
    centred = sub(input, mean(input, -1, keepdim=True))
    result = mul(centred, rsqrt(add(mean(square(centred), -1, keepdim=True), eps)))
    result = result if weight is None else mul(result, weight)
    return result if bias is None else add(result, bias)


def _rms_norm_vjp(
    F: Any,
    g: Any,
    x: Any,
    weight: Any,
    scale: Any,
    *,
    needs: tuple[bool, ...],
    into: Any,
    eps: float,
) -> tuple[Any, ...]:
    return _wanted(F.kernels.rms_norm_backward(g, x, weight, scale), needs)


def _rms_norm_unfused(F: Any, input: Tensor, weight: Tensor | None, *, eps: float) -> Tensor:
    result = mul(input, rsqrt(add(mean(square(input), -1, keepdim=True), eps)))
    return result if weight is None else mul(result, weight)


def _wanted(gradients: tuple[Any, ...], needs: tuple[bool, ...]) -> tuple[Any, ...]:
    return tuple(
        gradient if need else None for gradient, need in zip(gradients, needs, strict=True)
    )


LAYER_NORM = declare_fused(
    "layer_norm",
    "layer_norm",
    saves=("input", "weight"),
    vjp=_layer_norm_vjp,
    unfused=_layer_norm_unfused,
)
RMS_NORM = declare_fused(
    "rms_norm",
    "rms_norm",
    saves=("input", "weight"),
    vjp=_rms_norm_vjp,
    unfused=_rms_norm_unfused,
)


@public
def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(input - mean) / sqrt(variance + eps) * weight + bias (https://arxiv.org/abs/1607.06450).

    Arguments:
        input: floats, (..., *normalized_shape); mean and variance are those of the last dimensions.
        normalized_shape: their sizes.
        weight, bias: of shape normalized_shape, or None for 1 and 0.

    Raises RuntimeError for shapes that do not fit and for several dtypes.

    >>> import tinynn as tn
    >>> tn.nn.functional.layer_norm(tn.tensor([[1.0, 2.0, 3.0]]), (3,))
    tensor([[-1.2247,  0.0000,  1.2247]])
    """
    shape = _check("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    arguments = _flat(len(shape), input, weight, bias)
    result = apply(LAYER_NORM, arguments, {"eps": eps})
    return result if len(shape) == 1 else reshape(result, input.shape)


@public
def rms_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """input / sqrt(mean(input^2) + eps) * weight (https://arxiv.org/abs/1910.07467).

    Arguments:
        input: floats, (..., *normalized_shape); the mean is that of the last dimensions.
        normalized_shape: their sizes.
        weight: of shape normalized_shape, or None for 1.
        eps: None takes the distance from 1 to the next number of the dtype.

    Raises RuntimeError for shapes that do not fit and for several dtypes.

    >>> import tinynn as tn
    >>> tn.nn.functional.rms_norm(tn.tensor([[3.0, 4.0]]), (2,))
    tensor([[0.8485, 1.1314]])
    """
    shape = _check("rms_norm", input, normalized_shape, weight=weight)
    if eps is None:
        eps = EPSILONS[input.data.dtype.name]
    result = apply(RMS_NORM, _flat(len(shape), input, weight), {"eps": eps})
    return result if len(shape) == 1 else reshape(result, input.shape)


def _flat(ndim: int, input: Tensor, *parameters: Tensor | None) -> tuple[Tensor | None, ...]:
    """The arguments with the normalized dimensions, the last `ndim`, as one."""
    if ndim == 1:
        return (input, *parameters)
    lead, size = input.shape[:-ndim], math.prod(input.shape[-ndim:])
    flat = (None if item is None else reshape(item, (size,)) for item in parameters)
    return (reshape(input, (*lead, size)), *flat)


def _check(
    name: str, input: Tensor, normalized_shape: int | Sequence[int], **parameters: Tensor | None
) -> tuple[int, ...]:
    """The normalized shape as a tuple; raises what is wrong with the arguments."""
    check_tensor(name, input)
    sizes = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
    try:
        shape = tuple(map(operator.index, sizes))
    except TypeError:
        raise TypeError(
            f"{name}: normalized_shape must be an int or several, got {normalized_shape!r}"
        ) from None
    if not shape or input.data.shape[-len(shape) :] != shape:
        raise RuntimeError(
            f"{name}: the last dimensions of input must be normalized_shape {shape}, its shape is "
            f"{input.shape}"
        )
    if not is_floating(input.data.dtype):
        raise RuntimeError(f"{name}: input must be floats, got {input.dtype}")
    for argument, tensor in parameters.items():
        if tensor is not None:
            check_tensor(name, tensor, argument)
            if tensor.data.shape != shape:
                raise RuntimeError(
                    f"{name}: {argument} must have the shape {shape} of normalized_shape, its "
                    f"shape is {tensor.shape}"
                )
    check_same_dtype(name, input=input, **parameters)
    return shape

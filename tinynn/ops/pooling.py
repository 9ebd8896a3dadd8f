"""Pooling: one number for each window of an image."""

from __future__ import annotations

from typing import Any

from tinynn.autograd.tensor import Tensor
from tinynn.backend.devices import backend_of
from tinynn.backend.dtypes import is_floating
from tinynn.ops.dims import check_tensor
from tinynn.ops.gathering import gather
from tinynn.ops.registry import apply, declare_fused, public
from tinynn.ops.shape import flatten, reshape, squeeze, unsqueeze
from tinynn.ops.window import Pair, pair_of, windows_along


def _max_pool2d_vjp(
    F: Any, g: Any, shape: Any, places: Any, *, needs: Any, into: Any, **options: Any
) -> tuple[Any]:
    return (F.kernels.max_pool2d_backward(g, places, size=shape[2:]),)


def _max_pool2d_unfused(F: Any, input: Tensor, **options: Any) -> Tensor:
    _, places = backend_of(input.data).kernels.max_pool2d(input.data, **options)
    chosen = gather(flatten(input, 2), 2, flatten(Tensor(places), 2))
    return reshape(chosen, places.shape)


MAX_POOL2D = declare_fused(
    "max_pool2d",
    "max_pool2d",
    saves=("input.shape",),
    vjp=_max_pool2d_vjp,
    unfused=_max_pool2d_unfused,
)


@public
def max_pool2d(
    input: Tensor,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest number in every window of the image.

    Arguments:
        input: floats, (N, C, H, W) or (C, H, W).
        kernel_size: the size of a window, one number or (rows, columns).
        stride: the step from window to window; None is kernel_size, so that windows do not overlap.
        padding: how far windows may reach over the edges, at most half of kernel_size.
        dilation: the step between the elements of a window.
        ceil_mode: whether a last window that reaches over the padding as well counts.

    Returns (N, C, OH, OW) or (C, OH, OW). NaN counts as larger than any number. The gradient goes
    to the element chosen, the first of equals.

    Raises RuntimeError for an input of other dimensions, or without a window in it; ValueError or
    TypeError for options that have no meaning.

    >>> import tinynn as tn
    >>> image = tn.arange(16.0).reshape(1, 4, 4)
    >>> tn.nn.functional.max_pool2d(image, 2)
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """
    name = "max_pool2d"
    check_tensor(name, input)
    if input.ndim not in (3, 4):
        raise RuntimeError(
            f"{name}: input must have the dimensions (N, C, H, W) or (C, H, W), its shape is "
            f"{input.shape}"
        )
    if not is_floating(input.dtype):
        raise RuntimeError(f"{name}: input must hold floats, got {input.dtype}")
    window = pair_of(name, "kernel_size", kernel_size, least=1)
    stride = window if stride is None else pair_of(name, "stride", stride, least=1)
    padding = pair_of(name, "padding", padding, least=0)
    dilation = pair_of(name, "dilation", dilation, least=1)
    if any(2 * border > extent for border, extent in zip(padding, window, strict=True)):
        raise RuntimeError(
            f"{name}: padding must be at most half of kernel_size, got {padding} and {window}"
        )
    size = tuple(
        _windows(input.shape[d - 2], window[d], stride[d], padding[d], dilation[d], ceil_mode)
        for d in (0, 1)
    )
    if min(size) < 1:
        raise RuntimeError(
            f"{name}: no window of {window} with dilation {dilation} and padding {padding} fits "
            f"into {input.shape[-2:]}"
        )
    options = {
        "window": window,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "size": size,
    }
    if input.ndim == 3:
        return squeeze(apply(MAX_POOL2D, (unsqueeze(input, 0),), options), 0)
    return apply(MAX_POOL2D, (input,), options)


def _windows(
    size: int, window: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> int:
    """How many windows there are along one dimension."""
    count = windows_along(size + 2 * padding, window, stride, dilation, round_up=ceil_mode)
    begins_outside = (count - 1) * stride >= size + padding
    return count - (ceil_mode and begins_outside)

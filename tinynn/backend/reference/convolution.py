"""The 2-d convolution and its gradients, each a matrix product with the windows of an image.

The three share their options: `stride` and `dilation` for (rows, columns); `padding`, the zeros
(above, below, left, right) of the image; `groups`, into which the channels are divided.
"""

from __future__ import annotations

from typing import Any

from tinynn.backend.devices import array_module
from tinynn.backend.reference.precision import narrowed, widened

Array = Any
Pair = tuple[int, int]
Sides = tuple[int, int, int, int]


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int,
    out: Array | None = None,
) -> Array:
    """The products of weight with every window of x (cross-correlation), plus bias.

    Arguments: x [N, C, H, W] float; weight [O, C / groups, KH, KW]; bias [O] or None.

    Returns out [N, O, OH, OW].
    """
    columns, height, width = _columns(widened(x), weight.shape[2:], stride, padding, dilation)
    n, outputs = x.shape[0], weight.shape[0]
    filters = widened(weight).reshape(groups, outputs // groups, weight[0].size)
    xp = array_module(x)
    result = xp.matmul(filters, columns.reshape(n, groups, weight[0].size, height * width))
    result = result.reshape(n, outputs, height, width)
    if bias is not None:
        result = result + widened(bias)[:, None, None]
    return narrowed(result, x, out)


def conv2d_input_gradient(
    g: Array,
    weight: Array,
    *,
    size: Pair,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int,
    out: Array | None = None,
) -> Array:
    """The gradient of `conv2d` with respect to x.

    Arguments: g [N, O, OH, OW], the gradient of out; weight as it was; size (H, W) of x.

    Returns [N, C, H, W].
    """
    n, outputs, height, width = g.shape
    rows, columns = weight.shape[2:]
    filters = widened(weight).reshape(groups, outputs // groups, weight[0].size)
    xp = array_module(g)
    products = xp.matmul(
        filters.swapaxes(1, 2), widened(g).reshape(n, groups, outputs // groups, height * width)
    )
    channels = groups * weight.shape[1]
    products = products.reshape(n, channels, rows, columns, height, width)
    above, below, left, right = padding
    padded = xp.zeros(
        (n, channels, above + size[0] + below, left + size[1] + right), products.dtype
    )
    for (i, j), window in _windows(padded, (rows, columns), (height, width), stride, dilation):
        window += products[:, :, i, j]
    result = padded[:, :, above : above + size[0], left : left + size[1]]
    return narrowed(xp.ascontiguousarray(result), g, out)


def conv2d_weight_gradient(
    g: Array,
    x: Array,
    *,
    window: Pair,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int,
    out: Array | None = None,
) -> Array:
    """The gradient of `conv2d` with respect to weight.

    Arguments: g [N, O, OH, OW], the gradient of out; x as it was; window (KH, KW).

    Returns [O, C / groups, KH, KW].
    """
    n, outputs = g.shape[:2]
    columns, height, width = _columns(widened(x), window, stride, padding, dilation)
    xp, size = array_module(g), x.shape[1] // groups * window[0] * window[1]
    products = xp.matmul(
        widened(g).reshape(n, groups, outputs // groups, height * width),
        columns.reshape(n, groups, size, height * width).swapaxes(2, 3),
    )
    result = products.sum(axis=0).reshape(outputs, x.shape[1] // groups, *window)
    return narrowed(result, g, out)


def _columns(
    x: Array, window: Pair, stride: Pair, padding: Sides, dilation: Pair
) -> tuple[Array, int, int]:
    """Every window of x as a column ("im2col"): ([N, C, KH, KW, OH, OW], OH, OW)."""
    n, channels, height, width = x.shape
    above, below, left, right = padding
    padded_height, padded_width = above + height + below, left + width + right
    out_height = (padded_height - dilation[0] * (window[0] - 1) - 1) // stride[0] + 1
    out_width = (padded_width - dilation[1] * (window[1] - 1) - 1) // stride[1] + 1
    xp = array_module(x)
    padded = xp.zeros((n, channels, padded_height, padded_width), x.dtype)
    padded[:, :, above : above + height, left : left + width] = x
    columns = xp.empty((n, channels, *window, out_height, out_width), x.dtype)
    for (i, j), part in _windows(padded, window, (out_height, out_width), stride, dilation):
        columns[:, :, i, j] = part
    return columns, out_height, out_width


def _windows(padded: Array, window: Pair, count: Pair, stride: Pair, dilation: Pair) -> Any:
    """For each place in a window, what all windows have there: ((i, j), view [N, C, OH, OW])."""
    for i in range(window[0]):
        for j in range(window[1]):
            top, left = i * dilation[0], j * dilation[1]
            bottom, right = top + count[0] * stride[0], left + count[1] * stride[1]
            yield (i, j), padded[:, :, top : bottom : stride[0], left : right : stride[1]]

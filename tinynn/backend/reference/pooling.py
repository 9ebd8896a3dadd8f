"""The largest number in each window of an image."""

from __future__ import annotations

from typing import Any

from tinynn.backend.devices import array_module
from tinynn.backend.reference.precision import narrowed, widened

Array = Any
Pair = tuple[int, int]


def max_pool2d(
    x: Array,
    *,
    window: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    size: Pair,
    out: Array | None = None,
) -> Any:
    """The largest number in each window, NaN being larger than any other.

    Arguments:
        x: [N, C, H, W] float.
        window, stride, padding, dilation: each for (rows, columns); windows may reach over the
            edge, by `padding` at the top and left, but each has an element of x.
        size: (OH, OW), the number of windows.

    Returns (out [N, C, OH, OW], places [N, C, OH, OW] int32), places being those of the elements
    chosen, row * W + column; the first of equals.
    """
    xp, (n, channels, height, width) = array_module(x), x.shape
    ends = [(size[d] - 1) * stride[d] + dilation[d] * (window[d] - 1) + 1 for d in (0, 1)]
    padded = xp.full(
        (n, channels, max(ends[0], padding[0] + height), max(ends[1], padding[1] + width)),
        -xp.inf,
        x.dtype,
    )
    padded[:, :, padding[0] : padding[0] + height, padding[1] : padding[1] + width] = x
    first = [xp.arange(size[d]) * stride[d] - padding[d] for d in (0, 1)]
    # The first element of a window that is one of x.
    inside = [xp.where(start < 0, start % dilation[d], start) for d, start in enumerate(first)]
    places = xp.zeros((n, channels, *size), "int64") + (inside[0][:, None] * width + inside[1])
    best = xp.full((n, channels, *size), -xp.inf, x.dtype)
    for i in range(window[0]):
        for j in range(window[1]):
            row, column = i * dilation[0], j * dilation[1]
            part = padded[
                :,
                :,
                row : row + size[0] * stride[0] : stride[0],
                column : column + size[1] * stride[1] : stride[1],
            ]
            larger = (part > best) | xp.isnan(part)
            best = xp.where(larger, part, best)
            here = (first[0] + row)[:, None] * width + first[1] + column
            places = xp.where(larger, here, places)
    return narrowed(best, x, out), places.astype("int32")


def max_pool2d_backward(g: Array, places: Array, *, size: Pair, out: Array | None = None) -> Array:
    """The gradient of `max_pool2d`: each number goes to the element that was chosen.

    Arguments: g, places [N, C, OH, OW]; size (H, W) of x.

    Returns [N, C, H, W].
    """
    xp, (n, channels) = array_module(g), g.shape[:2]
    gradient = xp.zeros((n, channels, *size), widened(g).dtype)
    planes = xp.arange(n * channels).reshape(n, channels, 1, 1) * (size[0] * size[1])
    xp.add.at(gradient.reshape(-1), (places + planes).reshape(-1), widened(g).reshape(-1))
    return narrowed(gradient, g, out)

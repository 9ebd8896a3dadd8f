"""Resampling small grey images, each under its own affine map: the inner loop of augmentation."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynn.kernels.cpu.compiler import jit

Array = np.ndarray[Any, Any]

f32, i32, u32 = np.float32, np.int32, np.uint32


def affine_resample(images: Array, matrices: Array, *, out: Array | None = None) -> Any:
    """Bilinear resampling, serial and without Python's lock, for a loader's thread.

    Output pixel (y, x), counted from the centre of the image, takes the value of the input at
    matrix @ (y, x, 1), counted likewise; outside of the image is 0.

    images: uint8 [samples, height, width]; matrices: float32 [samples, 2, 3]; returns uint8.
    """
    if images.dtype != np.uint8 or matrices.dtype != np.float32:
        return NotImplemented
    result = np.empty(images.shape, np.uint8) if out is None else out
    _resample(images, matrices, result)
    return result


@jit
def _resample(images, matrices, out):
    samples, height, width = images.shape
    centre_y, centre_x = f32(0.5) * f32(height - 1), f32(0.5) * f32(width - 1)
    # The image among zeros, 1 before it and 2 after: clamped coordinates need no further tests.
    stride = width + 3
    padded = np.zeros((height + 3) * stride, f32)
    corners, downs, rights = np.empty(width, u32), np.empty(width, f32), np.empty(width, f32)
    for sample in range(samples):
        matrix = matrices[sample]
        yy, yx, y0 = matrix[0, 0], matrix[0, 1], matrix[0, 2] + centre_y
        xy, xx, x0 = matrix[1, 0], matrix[1, 1], matrix[1, 2] + centre_x
        for row in range(height):
            for column in range(width):
                padded[(row + 1) * stride + column + 1] = f32(images[sample, row, column])
        for row in range(height):
            y = f32(row) - centre_y
            # Two loops, because the first is vectorised and the second, which looks up, is not.
            for column in range(width):
                x = f32(column) - centre_x
                source_y = _clamp(yy * y + yx * x + y0, f32(height)) + f32(1)
                source_x = _clamp(xy * y + xx * x + x0, f32(width)) + f32(1)
                top, left = i32(source_y), i32(source_x)
                corners[column] = u32(top * i32(stride) + left)
                downs[column], rights[column] = source_y - f32(top), source_x - f32(left)
            for column in range(width):
                above, right = corners[column], rights[column]
                below = above + u32(stride)
                upper = padded[above] + (padded[above + u32(1)] - padded[above]) * right
                lower = padded[below] + (padded[below + u32(1)] - padded[below]) * right
                value = upper + (lower - upper) * downs[column]
                out[sample, row, column] = np.uint8(value + f32(0.5))


@jit
def _clamp(value, highest):
    """The value within [-1, highest]; NaN becomes -1, so that no index can leave the image."""
    value = value if value > f32(-1) else f32(-1)
    return value if value < highest else highest

"""Resampling small grey images, each under its own affine map."""

from __future__ import annotations

from typing import Any

from tinynn.backend.devices import array_module

Array = Any


def affine_resample(images: Array, matrices: Array, *, out: Array | None = None) -> Array:
    """Bilinear resampling of images.

    Output pixel (y, x), counted from the centre of the image, takes the value of the input at
    matrix @ (y, x, 1), counted likewise; outside of the image is 0.

    images: uint8 [samples, height, width]; matrices: float32 [samples, 2, 3]; returns uint8.
    """
    xp = array_module(images)
    samples, height, width = images.shape
    y = (xp.arange(height) - 0.5 * (height - 1)).astype("float32")[:, None]
    x = (xp.arange(width) - 0.5 * (width - 1)).astype("float32")[None, :]
    rows = matrices.astype("float32")[:, :, :, None, None]
    source_y = rows[:, 0, 0] * y + rows[:, 0, 1] * x + (rows[:, 0, 2] + 0.5 * (height - 1))
    source_x = rows[:, 1, 0] * y + rows[:, 1, 1] * x + (rows[:, 1, 2] + 0.5 * (width - 1))
    # One pixel of zeros around: a place outside of it has the value of one on its rim, 0.
    padded = xp.pad(images, ((0, 0), (1, 2), (1, 2))).astype("float32")
    source_y = xp.clip(xp.nan_to_num(source_y, nan=-1.0), -1, height) + 1
    source_x = xp.clip(xp.nan_to_num(source_x, nan=-1.0), -1, width) + 1
    top, left = xp.floor(source_y).astype("int64"), xp.floor(source_x).astype("int64")
    down, right = source_y - top.astype("float32"), source_x - left.astype("float32")
    sample = xp.arange(samples)[:, None, None]
    upper = _between(padded[sample, top, left], padded[sample, top, left + 1], right)
    lower = _between(padded[sample, top + 1, left], padded[sample, top + 1, left + 1], right)
    result = (_between(upper, lower, down) + 0.5).astype("uint8")
    if out is None:
        return result
    out[...] = result
    return out


def _between(first: Array, second: Array, place: Array) -> Array:
    return first + (second - first) * place

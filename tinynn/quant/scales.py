"""The scales and offsets of groups of numbers, those for 4 bits with the least squared error.

16 numbers in a row are few. Whoever lays them from the least number of a group to the greatest
spends most of them on the tails. So other ways to lay them are tried, a little further out or
further in, where what lies beyond the last is cut off; for each the codes are found, and for
the codes the scale and the offset by least squares. The best is kept where it is better than
the plain way. This is the search of llama.cpp (`make_qx_quants` and `make_qkx2_quants` in
ggml-quants.c) with fewer tries and without weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# How many scales the largest number, or the way from the least to the greatest, is to be long.
_SYMMETRIC_LENGTHS = (7.0, 7.4, 7.8, 8.2, 8.6, 9.0)
_AFFINE_LENGTHS = (13.0, 14.0, 14.5, 15.0, 15.5, 16.0)


def symmetric(groups: Array) -> Array:
    """The scale s of codes from -8 to 7, with sum (s q - x)^2 as small as was found.

    The plain way is s = x / -8 for the x with the largest |x|, of either sign.

    Arguments:
        groups: [rows, groups, 32] float32.

    Returns [rows, groups] float16. Raises ValueError where float16 cannot hold the plain scale.
    """
    place = np.abs(groups).argmax(axis=2)[..., None]
    top = np.take_along_axis(groups, place, axis=2)[..., 0]
    plain = away(top / np.float32(-8))
    best, explained = plain.astype(np.float32), np.full(top.shape, -1, np.float32)
    for length in _SYMMETRIC_LENGTHS:
        codes = _codes(groups, _quotient(np.float32(1), top / -length), -8, 7)
        product, square = _dot(groups, codes), _dot(codes, codes)
        # sum (s q - x)^2 is least for this s, and is then sum x^2 less what is explained.
        scale = _quotient(product, square)
        better = scale * product > explained
        best, explained = (
            np.where(better, scale, best),
            np.where(better, scale * product, explained),
        )
    fitted = half(best)
    closer = squared_error(groups, fitted, -8, 7) < squared_error(groups, plain, -8, 7)
    return np.where(closer, fitted, plain)


def affine(groups: Array) -> tuple[Array, Array]:
    """The scale s and offset m of codes from 0 to 15, with sum (s q + m - x)^2 as small as was
    found.

    The plain way is m = min x and s = (max x - m) / 15.

    Arguments:
        groups: [rows, groups, 32] float32.

    Returns two [rows, groups] float16. Raises ValueError where float16 cannot hold the plain ones.
    """
    low, high = groups.min(axis=2), groups.max(axis=2)
    offset = _down(low)
    scale = away((high - offset) / np.float32(15))
    x, count = groups - low[..., None], np.float32(groups.shape[2])
    total = x.sum(axis=2)
    best, start = scale.astype(np.float32), np.zeros_like(low)
    explained = np.full(low.shape, -1, np.float32)
    for length in _AFFINE_LENGTHS:
        codes = _codes(x, _quotient(np.float32(1), (high - low) / length), 0, 15)
        sum_, square, product = codes.sum(axis=2), _dot(codes, codes), _dot(x, codes)
        # The normal equations of the line through the points (q, x).
        slope = _quotient(count * product - sum_ * total, count * square - sum_ * sum_)
        intercept = (total - slope * sum_) / count
        gain = slope * product + intercept * total
        better = gain > explained
        best, start = np.where(better, slope, best), np.where(better, intercept, start)
        explained = np.where(better, gain, explained)
    fitted = half(best), half(low + start)
    with_fitted = squared_error(groups, fitted[0], 0, 15, fitted[1])
    closer = with_fitted < squared_error(groups, scale, 0, 15, offset)
    return np.where(closer, fitted[0], scale), np.where(closer, fitted[1], offset)


def nearest(x: Array, scale: Array, lowest: int, highest: int) -> Array:
    """x / scale as whole float32 numbers, the scale being one for each group; 0 where it is 0."""
    wide = scale.astype(np.float32)[..., None]
    quotient = np.divide(x, wide, out=np.zeros_like(x), where=wide != 0)
    return np.clip(np.rint(quotient, out=quotient), lowest, highest, out=quotient)


def squared_error(
    groups: Array, scale: Array, lowest: int, highest: int, offset: Array | None = None
) -> Array:
    """The sum of (scale * code + offset - x)^2 over each group, x having the nearest code."""
    with np.errstate(invalid="ignore", over="ignore"):
        x = groups if offset is None else groups - offset.astype(np.float32)[..., None]
        off = nearest(x, scale, lowest, highest) * scale.astype(np.float32)[..., None] - x
        return _dot(off, off)


def away(x: Array) -> Array:
    """x as float16, rounded away from zero: so that all numbers are within reach of a scale."""
    found = half(x)
    further = np.nextafter(found, np.copysign(np.float16(np.inf), found))
    return _finite(np.where(np.abs(found.astype(np.float32)) < np.abs(x), further, found))


def half(x: Array) -> Array:
    """x as float16."""
    with np.errstate(over="ignore"):
        return x.astype(np.float16)


def _down(x: Array) -> Array:
    """x as float16, rounded down."""
    found = half(x)
    below = np.nextafter(found, np.float16(-np.inf))
    return _finite(np.where(found.astype(np.float32) > x, below, found))


def _finite(halves: Array) -> Array:
    if np.isfinite(halves).all():
        return halves
    raise ValueError(
        "quantize: weight has numbers too large for float16 scales and offsets; expected smaller "
        "ones, or format 'int8'"
    )


def _codes(x: Array, inverse: Array, lowest: int, highest: int) -> Array:
    codes = x * inverse[..., None]
    return np.clip(np.rint(codes, out=codes), lowest, highest, out=codes)


def _dot(x: Array, y: Array) -> Array:
    found: Array = np.einsum("rgc,rgc->rg", x, y)
    return found


def _quotient(x: Array | np.float32, y: Array) -> Array:
    """x / y, and 0 where y is 0 or x / y is beyond float32."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        found = x / y
    return np.where(np.isfinite(found), found, np.float32(0))

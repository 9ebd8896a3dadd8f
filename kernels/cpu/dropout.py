"""Dropout with counter-based random numbers: Philox4x32-10 for four elements at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from tinynn.kernels.cpu.arrays import Array, cell, uniform
from tinynn.kernels.cpu.compiler import twins
from tinynn.kernels.cpu.elementary import like
from tinynn.kernels.cpu.philox import philox, u32, u64


def dropout(
    x: Array,
    *,
    p: float,
    key: int,
    stream: int,
    step: Any,
    offset: Any = 0,
    out: Array | None = None,
) -> Any:
    """Elements times 0 or 1 / (1 - p), at random; see the reference of the same name."""
    if not uniform(x, out):
        return NotImplemented
    out = np.empty_like(x) if out is None else out
    count = x.shape[0] if x.ndim else 1
    width = x.size // count if count else 0
    _dropout(
        x.size,
        x.reshape(count, width),
        out.reshape(count, width),
        *chances(p, key, stream, step, offset),
    )
    return out


def chances(p: float, key: int, stream: Any, step: Any, offset: Any) -> tuple[Any, ...]:
    """(threshold, factor of what is kept, two words of the key, stream, step, offset)"""
    return (
        u64(round(p * 2**32)),
        1.0 / (1.0 - p) if p < 1.0 else 0.0,
        u32(key & 0xFFFFFFFF),
        u32(key >> 32),
        _word(stream),
        _word(step),
        _word(offset),
    )


def _word(value: Any) -> Array:
    """The low 32 bits of an integer, or an array of one, for compiled code to read."""
    return cell(value if hasattr(value, "dtype") else value & 0xFFFFFFFF, np.int64)


@twins(1 << 17, "out")
def _dropout(x, out, threshold, scale, key0, key1, stream, step, offset):
    count, width = x.shape
    scale, zero = like(x, scale), like(x, 0)
    stream, step, first = u32(stream[0]), u32(step[0]), offset[0]
    for i in prange(count):
        sample = u32(first + i)
        for block in range(width // 4):
            w0, w1, w2, w3 = philox(u32(block), sample, step, stream, key0, key1)
            j = 4 * block
            out[i, j] = x[i, j] * (scale if w0 >= threshold else zero)
            out[i, j + 1] = x[i, j + 1] * (scale if w1 >= threshold else zero)
            out[i, j + 2] = x[i, j + 2] * (scale if w2 >= threshold else zero)
            out[i, j + 3] = x[i, j + 3] * (scale if w3 >= threshold else zero)
        words = philox(u32(width // 4), sample, step, stream, key0, key1)
        for lane in range(width % 4):
            j = width - width % 4 + lane
            out[i, j] = x[i, j] * (scale if words[lane] >= threshold else zero)

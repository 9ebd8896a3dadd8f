"""Dropout with counter-based random numbers: Philox4x32-10 for four elements at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numba.extending import register_jitable

from tinynn.kernels.cpu.arrays import Array, cell, uniform
from tinynn.kernels.cpu.compiler import twins
from tinynn.kernels.cpu.elementary import like

u32, u64 = np.uint32, np.uint64

# Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011)
_MULTIPLIER_0, _MULTIPLIER_1 = u64(0xD2511F53), u64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = u32(0x9E3779B9), u32(0xBB67AE85)
_WORD = u64(32)


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
        u64(round(p * 2**32)),
        1.0 / (1.0 - p) if p < 1.0 else 0.0,
        u32(key & 0xFFFFFFFF),
        u32(key >> 32),
        _word(stream),
        _word(step),
        _word(offset),
    )
    return out


def _word(value: Any) -> Array:
    """The low 32 bits of an integer, or an array of one, for compiled code to read."""
    return cell(value if hasattr(value, "dtype") else value & 0xFFFFFFFF, np.int64)


@register_jitable(forceinline=True)
def _philox(c0, c1, c2, c3, k0, k1):
    for _ in range(10):
        product0, product1 = _MULTIPLIER_0 * u64(c0), _MULTIPLIER_1 * u64(c2)
        c0, c2 = u32(u32(product1 >> _WORD) ^ c1 ^ k0), u32(u32(product0 >> _WORD) ^ c3 ^ k1)
        c1, c3 = u32(product1), u32(product0)
        k0, k1 = u32(k0 + _WEYL_0), u32(k1 + _WEYL_1)
    return c0, c1, c2, c3


@twins(1 << 17, "out")
def _dropout(x, out, threshold, scale, key0, key1, stream, step, offset):
    count, width = x.shape
    scale, zero = like(x, scale), like(x, 0)
    stream, step, first = u32(stream[0]), u32(step[0]), offset[0]
    for i in prange(count):
        sample = u32(first + i)
        for block in range(width // 4):
            w0, w1, w2, w3 = _philox(u32(block), sample, step, stream, key0, key1)
            j = 4 * block
            out[i, j] = x[i, j] * (scale if w0 >= threshold else zero)
            out[i, j + 1] = x[i, j + 1] * (scale if w1 >= threshold else zero)
            out[i, j + 2] = x[i, j + 2] * (scale if w2 >= threshold else zero)
            out[i, j + 3] = x[i, j + 3] * (scale if w3 >= threshold else zero)
        words = _philox(u32(width // 4), sample, step, stream, key0, key1)
        for lane in range(width % 4):
            j = width - width % 4 + lane
            out[i, j] = x[i, j] * (scale if words[lane] >= threshold else zero)

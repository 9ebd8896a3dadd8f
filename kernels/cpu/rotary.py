"""Rotary position embedding: each vector is read once, and its pairs of numbers are turned."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numba.extending import register_jitable

from tinynn.kernels.cpu.arrays import FLOATS, Array, contiguous, rows, stored, uniform
from tinynn.kernels.cpu.compiler import CONTRACT, twins
from tinynn.kernels.cpu.narrowing import narrow, widen
from tinynn.kernels.table_rows import steps_of_table

_GRAIN = 1 << 16


def rope(x: Array, cos: Array, sin: Array, *, interleaved: bool, out: Array | None = None) -> Any:
    """Pairs of numbers turned by angles; see the reference of the same name."""
    x = contiguous(x)  # heads may lie beside those of keys and values
    if not takes(x, out) or not uniform(cos, sin) or cos.shape != sin.shape:
        return NotImplemented
    steps = steps_of_table(x.shape[:-1], cos.shape[:-1])
    if steps is None:
        return NotImplemented
    out = np.empty_like(x) if out is None else out
    dtype = x.dtype if x.dtype in FLOATS else np.dtype(np.float32)
    cos, sin = (rows(table.astype(dtype, copy=False)) for table in (cos, sin))
    _rope(x.size, rows(stored(x)), cos, sin, *steps, interleaved, rows(stored(out)))
    return out


def takes(x: Array, *others: Array | None) -> bool:
    """Whether all arrays (None aside) are contiguous and of one float dtype, also of 16 bits."""
    if x.dtype not in FLOATS and x.dtype.name not in ("float16", "bfloat16"):
        return False
    return x.flags.c_contiguous and all(
        other is None or (other.dtype == x.dtype and other.flags.c_contiguous) for other in others
    )


@register_jitable(fastmath=CONTRACT, forceinline=True)
def turn(x, row, cos, sin, table, interleaved, out, target):
    """out[target] = x[row] with its pairs turned by a row of the tables, and what is behind them.

    Rows are indexed where they lie: counting the references to slices would cost more than this.
    """
    half = cos.shape[1]
    if interleaved:
        for i in range(half):
            a, b = widen(x[row, 2 * i]), widen(x[row, 2 * i + 1])
            c, s = cos[table, i], sin[table, i]
            out[target, 2 * i] = narrow(a * c - b * s, out)
            out[target, 2 * i + 1] = narrow(b * c + a * s, out)
    else:
        for i in range(half):
            a, b = widen(x[row, i]), widen(x[row, half + i])
            c, s = cos[table, i], sin[table, i]
            out[target, i] = narrow(a * c - b * s, out)
            out[target, half + i] = narrow(b * c + a * s, out)
    for i in range(2 * half, x.shape[1]):
        out[target, i] = narrow(widen(x[row, i]), out)


@twins(_GRAIN, "out")
def _rope(x, cos, sin, middle, inner, outer_step, middle_step, inner_step, interleaved, out):
    for block in prange(x.shape[0] // max(inner, 1)):
        table = block // middle * outer_step + block % middle * middle_step
        for row in range(block * inner, (block + 1) * inner):
            turn(x, row, cos, sin, table, interleaved, out, row)
            table += inner_step

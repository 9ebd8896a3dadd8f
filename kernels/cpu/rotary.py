"""Rotary position embedding: each vector is read once, and its pairs of numbers are turned."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numba.extending import register_jitable

from tinynn.kernels.cpu.arrays import FLOATS, Array, rows, stored, uniform
from tinynn.kernels.cpu.compiler import CONTRACT, twins
from tinynn.kernels.cpu.narrowing import narrow, widen

_GRAIN = 1 << 16


def rope(x: Array, cos: Array, sin: Array, *, interleaved: bool, out: Array | None = None) -> Any:
    """Pairs of numbers turned by angles; see the reference of the same name."""
    if not takes(x, out) or not uniform(cos, sin) or cos.shape != sin.shape:
        return NotImplemented
    steps = _steps(x.shape[:-1], cos.shape[:-1])
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


def _steps(lead: tuple[int, ...], table: tuple[int, ...]) -> tuple[int, ...] | None:
    """(middle, inner, outer step, middle step, inner step): the vector at [a, b, c] of
    [outer, middle, inner] is turned by row a * outer step + b * middle step + c * inner step of
    the tables. None where the axes along which the tables stay the same are too mixed for that.
    """
    if len(table) > len(lead):
        return None
    runs: list[tuple[int, bool]] = []
    for size, own in zip(lead, (1,) * (len(lead) - len(table)) + table, strict=True):
        if own not in (1, size):
            return None
        if size == 1:
            continue
        varies = own == size
        if runs and runs[-1][1] == varies:
            runs[-1] = (runs[-1][0] * size, varies)
        else:
            runs.append((size, varies))
    if len(runs) < 2:
        runs.append((1, False))
    if len(runs) > 3:
        return None
    (_, outer), (middle, central), (inner, last) = [(1, False)] * (3 - len(runs)) + runs
    row = inner if last else 1
    return middle, inner, (row * (middle if central else 1)) * outer, row * central, int(last)


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

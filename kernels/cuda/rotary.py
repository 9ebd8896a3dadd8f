"""Rotary position embedding: each vector is read once, and its pairs of numbers are turned."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynn.kernels.cuda import compiler
from tinynn.kernels.cuda.arrays import (
    THREADS,
    TYPES,
    Array,
    aligned,
    blocks_for,
    rows,
    uniform,
    wide,
)
from tinynn.kernels.table_rows import steps_of_table

_SOURCE = "rotary.cu"
_PAIRS = {"float64": 2, "float32": 4, "float16": 8, "bfloat16": 8}  # of a thread: 16 bytes
INSTANTIATIONS = [
    (_SOURCE, f"rope<{TYPES[name]}, {interleaved}, {pairs}, {whole}>")
    for name, pairs in _PAIRS.items()
    for interleaved in ("false", "true")
    for whole in ("false", "true")
]


def rope(x: Array, cos: Array, sin: Array, *, interleaved: bool, out: Array | None = None) -> Any:
    """Pairs of numbers turned by angles; see the reference of the same name."""
    if not x.flags.c_contiguous:  # heads that lie beside those of keys and values
        x = x.copy()
    if not uniform(x, out) or not uniform(cos, sin) or cos.shape != sin.shape:
        return NotImplemented
    steps = steps_of_table(x.shape[:-1], cos.shape[:-1])
    if steps is None:
        return NotImplemented
    out = np.empty_like(x) if out is None else out
    if not x.size:
        return out
    cos, sin = (table.astype(wide(x.dtype), copy=False) for table in (cos, sin))
    (vectors, width), half, pairs = rows(x), cos.shape[-1], _PAIRS[x.dtype.name]
    whole = half % pairs == 0 and width % pairs == 0 and aligned(16, x, out, cos, sin)
    name = f"rope<{TYPES[x.dtype.name]}, {_word(interleaved)}, {pairs}, {_word(whole)}>"
    units = -(-half // pairs) + -(-(width - 2 * half) // pairs)
    compiler.load(_SOURCE, name)(
        (blocks_for(vectors * units, compiler.current_device()[1]),),
        (THREADS,),
        (
            x,
            cos,
            sin,
            out,
            np.int64(vectors),
            np.int32(width),
            np.int32(half),
            *map(np.int64, steps),
        ),
    )
    return out


def _word(value: Any) -> str:
    return str(bool(value)).lower()

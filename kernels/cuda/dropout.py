"""Dropout with counter-based random numbers: Philox4x32-10 for four elements at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynn.kernels.cuda import compiler
from tinynn.kernels.cuda.arrays import THREADS, TYPES, Array, aligned, blocks_for, uniform
from tinynn.kernels.cuda.philox import counters

_SOURCE = "dropout.cu"
INSTANTIATIONS = [
    (_SOURCE, f"dropout<{type_}, {whole}>")
    for type_ in TYPES.values()
    for whole in ("true", "false")
]


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
    if not x.size:
        return out
    count = x.shape[0] if x.ndim else 1
    width = x.size // count
    whole = width % 4 == 0 and aligned(min(4 * x.dtype.itemsize, 16), x, out)
    kernel = compiler.load(_SOURCE, f"dropout<{TYPES[x.dtype.name]}, {str(whole).lower()}>")
    groups = count * -(-width // 4)
    kernel(
        (blocks_for(groups, compiler.current_device()[1]),),
        (THREADS,),
        (
            x,
            out,
            np.int64(count),
            np.int64(width),
            np.uint64(round(p * 2**32)),
            np.float64(1.0 / (1.0 - p) if p < 1.0 else 0.0),
            *counters(key, stream, step, offset),
        ),
    )
    return out

"""The gate of a feed-forward block: an activation and a product in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynn.kernels.cuda import compiler
from tinynn.kernels.cuda.activations import NUMBERS
from tinynn.kernels.cuda.arrays import (
    THREADS,
    TYPES,
    Array,
    aligned,
    blocks_for,
    rows,
    uniform,
)

_SOURCE = "gating.cu"
_GROUP = 16  # bytes that are read at once
INSTANTIATIONS = [
    (_SOURCE, f"gate<{element}, {whole}>")
    for element in TYPES.values()
    for whole in ("true", "false")
]


def gated_activation(x: Array, *, activation: str, out: Array | None = None) -> Any:
    """activation(gate) * up for the halves of rows; see the reference of the same name."""
    if not uniform(x, out) or not x.ndim or not x.size:
        return NotImplemented
    columns = x.shape[-1] // 2
    if out is None:
        out = np.empty((*x.shape[:-1], columns), x.dtype, like=x)
    whole = columns % (_GROUP // x.dtype.itemsize) == 0 and aligned(_GROUP, x, out)
    compiler.load(_SOURCE, f"gate<{TYPES[x.dtype.name]}, {str(whole).lower()}>")(
        (blocks_for(-(-out.nbytes // _GROUP), compiler.current_device()[1]),),
        (THREADS,),
        (x, out, np.int64(rows(x)[0]), np.int32(columns), np.int32(NUMBERS[activation])),
    )
    return out

"""Attention over a set of keys from attention over its parts: the parts are read once."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynn.kernels.cuda import compiler
from tinynn.kernels.cuda.arrays import THREADS, TYPES, Array, aligned, blocks_for, uniform, wide

_SOURCE = "merging.cu"
_PAIRS = [(type_, type_) for type_ in TYPES.values()]
_PAIRS += [("float", "__half"), ("float", "__nv_bfloat16")]
INSTANTIATIONS = [
    (_SOURCE, f"merge_attention<{source}, {target}, {whole}>")
    for source, target in _PAIRS
    for whole in ("true", "false")
]


def merge_attention(outs: Array, lses: Array, *, out: Array | None = None) -> Any:
    """The attention over all keys; see the reference of the same name."""
    if not uniform(outs, out) or not outs.size:
        return NotImplemented
    if lses.dtype != wide(outs.dtype) or not lses.flags.c_contiguous:
        return NotImplemented
    out = np.empty(outs.shape[1:], outs.dtype, like=outs) if out is None else out
    lse = np.empty(lses.shape[1:], lses.dtype, like=lses)
    merge_into(outs, lses, out, lse)
    return out, lse


def merge_into(outs: Array, lses: Array, out: Array, lse: Array) -> None:
    """The same into given arrays; `out` may be of 16 bits where the parts are of float32."""
    parts, width = outs.shape[0], outs.shape[-1]
    rows = lse.size
    whole = width % 4 == 0 and aligned(16, outs, out)
    types = f"{TYPES[outs.dtype.name]}, {TYPES[out.dtype.name]}"
    kernel = compiler.load(_SOURCE, f"merge_attention<{types}, {str(whole).lower()}>")
    kernel(
        (blocks_for(rows * -(-width // 4), compiler.current_device()[1]),),
        (THREADS,),
        (outs, lses, out, lse, np.int32(parts), np.int64(rows), np.int32(width)),
    )

"""Products with a quantized matrix, on tensor cores where x is rounded to whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynn.kernels.cuda import compiler
from tinynn.kernels.cuda.arrays import THREADS, Array, aligned, rows, uniform

SIZES = (512, 544, 288, 320)  # bytes of a block of the matrix
GROUP, TILE = 32, 16  # its columns and rows
_SOURCE, _SOURCE_OF_FLOATS = "quantized.cu", "quantized_floats.cu"
_FEW, _MANY = 8, 64  # rows of x that a block of threads takes
# With few rows each block of threads rounds x for itself; up to so many tiles times rows that costs
# less than another launch (measured on an H200).
_MOST_ROUNDED = 4096
_WARPS = 4
_MOST_SLICES = 65535  # of the second axis of a grid

INSTANTIATIONS = [
    *((_SOURCE, f"multiply_{kind}<{size}>") for kind in ("few", "many") for size in SIZES),
    (_SOURCE, "round_rows"),
    *((_SOURCE_OF_FLOATS, f"multiply_floats<{size}>") for size in SIZES),
]


def quantized_linear(
    x: Array,
    blocks: Array,
    row_scales: Array | None,
    bias: Array | None,
    *,
    outputs: int,
    activations: str = "int8",
    out: Array | None = None,
) -> Any:
    """x w^T + bias for a quantized w; see the reference of the same name."""
    if x.dtype.name != "float32" or not uniform(x, bias, out) or not x.ndim or not x.size:
        return NotImplemented
    blocks = with_alignment(blocks)
    if out is None:
        out = np.empty((*x.shape[:-1], outputs), x.dtype, like=x)
    (count, columns), (tiles, groups, size) = rows(x), blocks.shape
    given, sizes = (blocks, row_scales, bias, out), (groups, outputs)
    is_few = count <= _FEW and count * tiles <= max(_MOST_ROUNDED, tiles)
    if activations == "float32" or is_few:
        pair = (_SOURCE, "few") if activations == "int8" else (_SOURCE_OF_FLOATS, "floats")
        slices = -(-count // _FEW)
        if slices > _MOST_SLICES:
            return NotImplemented
        compiler.load(pair[0], f"multiply_{pair[1]}<{size}>")(
            (tiles, slices), (THREADS,), (x, *given, *map(np.int32, (count, columns, *sizes)))
        )
        return out
    slices = -(-count // _MANY)
    if slices > _MOST_SLICES:
        return NotImplemented
    padded = slices * _MANY
    numbers = np.empty((padded, groups * GROUP), np.int8, like=x)
    factors, terms = (np.empty((groups, padded), np.float32, like=x) for _ in range(2))
    compiler.load(_SOURCE, "round_rows")(
        (-(-padded * groups * GROUP // THREADS),),
        (THREADS,),
        (x, numbers, factors, terms, *map(np.int32, (count, columns, groups, padded))),
    )
    compiler.load(_SOURCE, f"multiply_many<{size}>")(
        (-(-tiles // _WARPS), slices),
        (32 * _WARPS,),
        (numbers, factors, terms, *given, *map(np.int32, (count, padded, *sizes))),
    )
    return out


def with_alignment(blocks: Array) -> Array:
    """The blocks, copied where their memory begins in the middle of a number of theirs."""
    return blocks if blocks.flags.c_contiguous and aligned(4, blocks) else blocks.copy()

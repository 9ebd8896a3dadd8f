"""Products of few rows with a matrix: the time is that of reading the matrix, once."""

from __future__ import annotations

import numpy as np

from tinynn.kernels.cuda import compiler
from tinynn.kernels.cuda.arrays import THREADS, TYPES, Array, aligned, rows

_SOURCE = "few_rows.cu"
_WARPS = THREADS // 32
_OWN = {1: 2, 4: 4, 8: 4}  # rows of x at once -> rows of the matrix that a warp takes
# What the matrix is kept in, and x is.
_PAIRS = [
    *((name, name) for name in ("float32", "float16", "bfloat16")),
    *((name, "float32") for name in ("float16", "bfloat16")),
]
_GROUP = 16  # bytes that are read at once

INSTANTIATIONS = [
    (_SOURCE, f"multiply_few_rows<{TYPES[weight]}, {TYPES[x]}, {count}, {own}, {whole}>")
    for weight, x in _PAIRS
    for count, own in _OWN.items()
    for whole in ("true", "false")
]


def takes(x: Array, weight: Array, most: int) -> bool:
    """Whether `multiply` takes these: at most so many rows, and dtypes that it knows."""
    known = (weight.dtype.name, x.dtype.name) in _PAIRS
    return known and 0 < rows(x)[0] <= most and weight.size > 0


def multiply(x: Array, weight: Array, bias: Array | None, out: Array) -> None:
    """out = x weight^T + bias: contiguous arrays [..., K], [O, K], [O] or None and [..., O]."""
    (count, columns), outputs = rows(x), weight.shape[0]
    together = next((most for most in _OWN if most >= count), max(_OWN))
    own = _OWN[together]
    group = _GROUP // weight.dtype.itemsize
    whole = columns % group == 0 and aligned(_GROUP, x, weight)
    kinds = f"{TYPES[weight.dtype.name]}, {TYPES[x.dtype.name]}, {together}, {own}"
    compiler.load(_SOURCE, f"multiply_few_rows<{kinds}, {str(whole).lower()}>")(
        (-(-outputs // (_WARPS * own)), -(-count // together)),
        (THREADS,),
        (x, weight, bias, out, *map(np.int32, (count, columns, outputs))),
    )

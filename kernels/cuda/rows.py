"""How kernels on the rows of a matrix are launched, see rows.cuh and columns.cuh."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynn.kernels.cuda import compiler
from tinynn.kernels.cuda.arrays import THREADS, TYPES, Array, aligned, wide

_GROUP = 16  # bytes that are read at once
_WARPS = THREADS // 32
# A row of this many columns or more is taken by a whole block.
_LONG = 1024
_COLUMNS_OF_BLOCK = 32
_ROWS_OF_PART = 32  # at least, so that a part is worth a block

WARPS_OF_ROW = (1, _WARPS)


def row_instantiations(source: str, *kernels: str) -> list[tuple[str, str]]:
    """All (source, instantiation) of kernels <T, warps of a row, whole>."""
    return [
        (source, f"{kernel}<{element}, {warps}, {whole}>")
        for kernel in kernels
        for element in TYPES.values()
        for warps in WARPS_OF_ROW
        for whole in ("true", "false")
    ]


def launch_on_rows(
    source: str,
    kernel: str,
    x: Array,
    arrays: tuple[Array | None, ...],
    *arguments: Any,
    **more: Any,
) -> None:
    """Launches kernel<T, warps, whole>(*arguments) for the rows of x, [..., columns].

    arrays: those that are read or written in groups beside x.
    """
    rows, columns = x.size // x.shape[-1], x.shape[-1]
    warps = _WARPS if columns >= _LONG else 1
    whole = columns % (_GROUP // x.dtype.itemsize) == 0 and aligned(_GROUP, x, *arrays)
    instantiation = f"{kernel}<{TYPES[x.dtype.name]}, {warps}, {str(whole).lower()}>"
    blocks = -(-rows * warps // _WARPS)
    compiler.load(source, instantiation)((blocks,), (THREADS,), arguments, **more)


def column_instantiations(source: str, kernel: str) -> list[tuple[str, str]]:
    """All (source, instantiation) of a kernel <T> that sums rows, and of what adds its parts."""
    return [(source, f"{kernel}<{element}>") for element in TYPES.values()] + [
        (source, f"add_parts<{element}, {'double' if element == 'double' else 'float'}>")
        for element in TYPES.values()
    ]


def sums_over_rows(source: str, kernel: str, count: int, x: Array, arguments_for: Any) -> Array:
    """`count` sums over the rows of x, [count, columns], of its dtype.

    arguments_for: sums [parts, count, columns] -> the arguments of kernel<T>.
    """
    rows, columns = x.size // x.shape[-1], x.shape[-1]
    tiles = -(-columns // _COLUMNS_OF_BLOCK)
    wanted = max(4 * compiler.current_device()[1] // tiles, 1)
    parts = max(min(wanted, rows // _ROWS_OF_PART), 1)
    element = TYPES[x.dtype.name]
    sums = np.empty((parts, count, columns), wide(x.dtype), like=x)
    compiler.load(source, f"{kernel}<{element}>")((tiles, parts), (THREADS,), arguments_for(sums))
    if parts == 1 and sums.dtype == x.dtype:
        return sums[0]
    out = np.empty((count, columns), x.dtype, like=x)
    adder = f"add_parts<{element}, {'double' if element == 'double' else 'float'}>"
    compiler.load(source, adder)(
        (-(-out.size // THREADS),),
        (THREADS,),
        (sums, out, np.int32(parts), np.int64(out.size)),
    )
    return out

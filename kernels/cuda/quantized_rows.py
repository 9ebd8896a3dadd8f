"""Rows of a quantized matrix as floats: an embedding."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynn.kernels.cuda import compiler
from tinynn.kernels.cuda.arrays import THREADS, Array
from tinynn.kernels.cuda.quantized import SIZES, with_alignment

_SOURCE = "quantized_floats.cu"
INSTANTIATIONS = [(_SOURCE, "look_at_ids"), *((_SOURCE, f"take_rows<{size}>") for size in SIZES)]


def quantized_rows(
    ids: Array,
    blocks: Array,
    row_scales: Array | None,
    *,
    outputs: int,
    columns: int,
    out: Array | None = None,
) -> Any:
    """The rows of a quantized matrix as float32; see the reference of the same name."""
    if out is not None and not (out.flags.c_contiguous and out.dtype.name == "float32"):
        return NotImplemented
    if not ids.size:
        return NotImplemented
    blocks = with_alignment(blocks)
    ids = ids.astype(np.int64, copy=False)
    ids = ids if ids.flags.c_contiguous else ids.copy()
    if out is None:
        out = np.empty((*ids.shape, columns), np.float32, like=blocks)
    bad = np.empty(1, np.int64, like=blocks)
    compiler.load(_SOURCE, "look_at_ids")(
        (1,), (THREADS,), (ids, np.int64(ids.size), np.int64(outputs), bad), refuse=_refuse
    )
    compiler.load(_SOURCE, f"take_rows<{blocks.shape[2]}>")(
        (-(-out.size // THREADS),),
        (THREADS,),
        (
            *(ids, blocks, row_scales, out),
            np.int64(ids.size),
            np.int32(columns),
            np.int32(blocks.shape[1]),
            np.int64(outputs),
        ),
    )
    return out


def _refuse(place: int, ids: Array, *others: Any) -> None:
    raise IndexError(
        f"quantized_rows: id {int(ids.reshape(-1)[place])} (number {place}), but the matrix has "
        f"{int(others[1])} rows"
    )

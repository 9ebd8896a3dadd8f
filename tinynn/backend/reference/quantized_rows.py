"""Rows of a quantized matrix as floats."""

from __future__ import annotations

from typing import Any

from tinynn.backend.reference.quantized import dequantized

Array = Any


def quantized_rows(
    ids: Array,
    blocks: Array,
    row_scales: Array | None,
    *,
    outputs: int,
    columns: int,
    out: Array | None = None,
) -> Array:
    """The rows of a quantized matrix as float32: an embedding.

    Arguments:
        ids: [...] integers, of rows.
        blocks, row_scales: as for `quantized_linear`.
        outputs, columns: of the matrix.

    Returns out [..., columns] float32. Raises IndexError for an id that is negative or not below
    outputs.
    """
    check_ids("quantized_rows", ids, outputs)
    rows = dequantized(blocks, row_scales)[ids, :columns]
    if out is None:
        return rows
    out[...] = rows
    return out


def check_ids(operation: str, ids: Array, rows: int) -> None:
    """IndexError for the first id that is none of so many rows."""
    bad = ((ids < 0) | (ids >= rows)).reshape(-1)
    if bool(bad.any()):
        place = int(bad.argmax())
        raise IndexError(
            f"{operation}: id {int(ids.reshape(-1)[place])} (number {place}), but the matrix has "
            f"{rows} rows"
        )

"""How rows of scales, offsets and codes become the blocks that a quantized matrix is kept in.

What a block holds is said in `tinynn/backend/reference/quantized.py`. Nothing is rounded here: the
blocks of GGUF's formats change the order of their bytes only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.backend.reference.quantized import GROUP, ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = np.ndarray[Any, Any]

# GGUF's type -> (its block's fields, the bytes of ours). "q" are codes of 4 columns, or of eight.
_GGUF = {
    "Q8_0": ([("scale", "<f2"), ("q", "<u4", 8)], 544),
    "Q4_0": ([("scale", "<f2"), ("q", "<u4", 4)], 288),
    "Q4_1": ([("scale", "<f2"), ("offset", "<f2"), ("q", "<u4", 4)], 320),
}
# GGUF's whole numbers of 8 bits have a sign; inverting its bit adds 128 to them.
_SIGNS = np.uint32(0x80808080)


def pack_gguf(raw: Array, kind: str, shape: Sequence[int]) -> Array:
    """The blocks [tiles, groups, size] uint8 of a matrix in one of GGUF's formats.

    Arguments:
        raw: the bytes of the matrix, uint8 of any shape.
        kind: "Q8_0", "Q4_0" or "Q4_1".
        shape: (outputs, inputs).

    Raises ValueError for another kind, for inputs that are not whole blocks of 32, and for a number
    of bytes that is not the one of such a matrix.
    """
    if kind not in _GGUF:
        raise ValueError(f"from_gguf: kind is {kind!r}, expected one of {', '.join(_GGUF)}")
    fields, size = _GGUF[kind]
    dtype: np.dtype[Any] = np.dtype(fields)
    outputs, inputs = shape
    if inputs % GROUP:
        raise ValueError(
            f"from_gguf: shape is ({outputs}, {inputs}), expected inputs in whole blocks of {GROUP}"
        )
    expected = outputs * (inputs // GROUP) * dtype.itemsize
    if raw.dtype != np.uint8 or raw.size != expected:
        raise ValueError(
            f"from_gguf: raw holds {raw.size} numbers of {raw.dtype}, expected the {expected} of "
            f"uint8 that a {kind} matrix of shape ({outputs}, {inputs}) has"
        )
    rows = np.ascontiguousarray(raw).reshape(-1).view(dtype).reshape(outputs, inputs // GROUP)
    *names, codes = dtype.names or ()
    blocks = pack(rows[codes], [rows[name] for name in names], size)
    if kind == "Q8_0":
        quads = blocks[..., 2 * ROWS * len(names) :].view(np.uint32)
        quads ^= _SIGNS
    return blocks


def pack(quads: Array, halves: Sequence[Array], size: int) -> Array:
    """Blocks [tiles, groups, size] uint8 of the rows of a matrix.

    Arguments:
        quads: [rows, groups, 4 or 8] uint32, four bytes of codes each, in the order of columns.
            Bytes of two codes have those of columns 0 to 15 in their low halves, 16 to 31 in the
            high ones.
        halves: the scales and the offsets, [rows, groups] float16 each, if there are any.
        size: bytes of a block.
    """
    rows, groups = quads.shape[:2]
    tiles, head = -(-rows // ROWS), 2 * ROWS * len(halves)
    blocks = np.empty((tiles, groups, size), np.uint8)
    codes = blocks[..., head:].view(np.uint32).reshape(tiles, groups, -1, ROWS)
    _deal(quads, codes.transpose(0, 3, 1, 2))
    for k, half in enumerate(halves):
        places = blocks[..., 2 * ROWS * k : 2 * ROWS * (k + 1)].view(np.float16)
        _deal(half, places.transpose(0, 2, 1))
    return blocks


def _deal(rows: Array, tiles: Array) -> None:
    """tiles[i, j] = rows[16 i + j], and zeros in the rows that fill up the last tile."""
    whole, rest = divmod(len(rows), ROWS)
    tiles[:whole] = rows[: whole * ROWS].reshape(whole, ROWS, *rows.shape[1:])
    if rest:
        tiles[whole, :rest] = rows[whole * ROWS :]
        tiles[whole, rest:] = 0

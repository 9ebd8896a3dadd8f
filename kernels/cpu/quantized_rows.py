"""Rows of a quantized matrix as floats: an embedding that is kept once, in the form in which the
output layer multiplies by it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numba.extending import register_jitable

from tinynn.kernels.cpu.arrays import Array, contiguous
from tinynn.kernels.cpu.compiler import twins
from tinynn.kernels.cpu.elementary import f32
from tinynn.kernels.cpu.narrowing import i16, u16, widen
from tinynn.kernels.cpu.quantized_products import FORMS, GROUP, ROWS, ZEROS

_GRAIN = 1 << 17  # numbers


def quantized_rows(
    ids: Array,
    blocks: Array,
    row_scales: Array | None,
    *,
    outputs: int,
    columns: int,
    out: Array | None = None,
) -> Any:
    """The rows ids of a quantized matrix; see the reference of the same name."""
    if not blocks.flags.c_contiguous or (out is not None and not out.flags.c_contiguous):
        return NotImplemented
    if out is None:
        out = np.empty((*ids.shape, columns), np.float32, like=ids)
    flat = contiguous(ids if ids.dtype == np.int64 else ids.astype(np.int64)).reshape(-1)
    form = FORMS[blocks.shape[2]]
    scales = np.ones(0, np.float32) if row_scales is None else row_scales
    rows = out.reshape(flat.size, columns)
    _rows(out.size, flat, blocks, form.bits, form.halves, scales, outputs, rows)
    return out


def _refuse(place, ids, blocks, bits, halves, scales, outputs, out):
    raise IndexError(
        f"quantized_rows: id {ids[place]} (number {place}), but the matrix has {outputs} rows"
    )


@twins(_GRAIN, "out", refuse=_refuse)
def _rows(ids, blocks, bits, halves, scales, outputs, out):
    for i in range(ids.size):
        if ids[i] < 0 or ids[i] >= outputs:
            return i
    for i in prange(ids.size):
        tile, lane = ids[i] // ROWS, ids[i] % ROWS
        for g in range(blocks.shape[1]):
            block = blocks[tile, g]
            scale, offset = f32(1), f32(0)
            if halves == 0:
                scale = scales[ids[i]]
            else:
                scale = _half(block, lane)
            if halves == 2:
                offset = _half(block, ROWS + lane)
            zero = np.int32(0 if halves == 2 else ZEROS[1] if bits == 8 else ZEROS[0])
            first = 2 * ROWS * halves + 4 * lane
            for k in range(min(GROUP, out.shape[1] - g * GROUP)):
                code = _code(block, first, k, bits)
                out[i, g * GROUP + k] = f32(np.int32(code) - zero) * scale + offset
    return -1


@register_jitable
def _half(block, place):
    bits = u16(block[2 * place]) | u16(u16(block[2 * place + 1]) << u16(8))
    return widen(i16(u16(bits)))


@register_jitable
def _code(block, first, k, bits):
    """Code k of the row whose first four columns have their bytes from `first` on."""
    if bits == 8:
        return block[first + 4 * ROWS * (k // 4) + k % 4]
    half, k = k // (GROUP // 2), k % (GROUP // 2)
    pair = block[first + 4 * ROWS * (k // 4) + k % 4]
    return np.uint8(pair >> np.uint8(4)) if half else np.uint8(pair & np.uint8(15))

"""Products with a quantized matrix: how its numbers lie in memory, and what they mean.

A matrix is cut into tiles of 16 rows and groups of 32 columns. Where a tile meets a group is a
block of bytes, and the blocks are an array [tiles, groups, size]. A block holds

    scales   16 float16, one for each row; blocks of 512 bytes have none: theirs are `row_scales`
    offsets  16 float16, in blocks of 320 bytes
    codes    of 8 bits: [8, 16, 4], that of row t and column 4 v + k at [v, t, k]; or of 4 bits:
             bytes [4, 16, 4], with column 4 v + k in the low and 16 + 4 v + k in the high half

and a number is scale * code + offset; where there are no offsets, scale * (code - 128) for codes of
8 bits and scale * (code - 8) for those of 4. Rows and columns that only fill up the last tile and
the last group are multiplied by zero or cut off.

So the blocks of GGUF's formats Q8_0, Q4_0 and Q4_1, in which a row has its scale, its offset and
its 32 codes, are these blocks but for the order of bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynn.backend.devices import array_module
from tinynn.backend.reference.precision import narrowed, widened

Array = Any

ROWS = 16
GROUP = 32
# Bytes of a block -> (bits of a code, how many float16 a row has in it)
FORMS = {512: (8, 0), 544: (8, 1), 288: (4, 1), 320: (4, 2)}

_LARGEST = 127
_SMALLEST = 2.0**-100


def quantized_linear(
    x: Array,
    blocks: Array,
    row_scales: Array | None,
    bias: Array | None,
    *,
    outputs: int,
    activations: str = "int8",
    out: Array | None = None,
) -> Array:
    """x w^T + bias for a quantized w [outputs, K].

    Arguments:
        x: [..., K] float.
        blocks: [tiles, groups, 512, 544, 288 or 320] uint8, see above.
        row_scales: [tiles * 16] float32 for blocks of 512 bytes, else None.
        bias: [outputs] or None.
        activations: "int8" to round x as `rounded` does, each row in groups of 32; then a product
            is one of whole numbers. Or "float32", to compute with x as it is.

    Returns out [..., outputs].
    """
    single = widened(x)
    if activations == "int8":
        single = rounded(single)
    weight = dequantized(blocks, row_scales)[:outputs, : x.shape[-1]]
    xp = array_module(x)
    result = xp.matmul(single, weight.T)
    if bias is not None:
        result = result + widened(bias)
    return narrowed(result, x, out)


def dequantized(blocks: Array, row_scales: Array | None) -> Array:
    """The numbers of all blocks, [tiles * 16, groups * 32] float32."""
    xp = array_module(blocks)
    tiles, groups, size = blocks.shape
    bits, halves = FORMS[size]
    codes = blocks[..., 2 * ROWS * halves :].reshape(tiles, groups, -1, ROWS, 4)
    if bits == 4:
        codes = xp.concatenate([codes & 15, codes >> 4], axis=2)
    numbers = codes.transpose(0, 3, 1, 2, 4).reshape(tiles, ROWS, groups, GROUP).astype(np.float32)
    if halves < 2:
        numbers = numbers - np.float32(128 if bits == 8 else 8)
    if row_scales is not None:
        numbers = numbers * row_scales.astype(np.float32).reshape(tiles, ROWS, 1, 1)
    else:
        pair = blocks[..., : 2 * ROWS * halves].view(np.float16).astype(np.float32)
        pair = pair.reshape(tiles, groups, halves, ROWS).transpose(2, 0, 3, 1)[..., None]
        numbers = numbers * pair[0]
        if halves == 2:
            numbers = numbers + pair[1]
    return numbers.reshape(tiles * ROWS, groups * GROUP)


def rounded(x: Array) -> Array:
    """x with each group of 32 of a row rounded to whole numbers from -127 to 127, times a scale.

    The scale is max |x| / 127. A group of numbers below 2^-100 is zero, one with a number that is
    NaN or infinite is NaN.
    """
    xp = array_module(x)
    columns = x.shape[-1]
    groups = -(-columns // GROUP)
    filled = xp.zeros((*x.shape[:-1], groups * GROUP), x.dtype)
    filled[..., :columns] = x
    filled = filled.reshape(*x.shape[:-1], groups, GROUP)
    top = abs(filled).max(axis=-1, keepdims=True)
    kept = xp.where(top < _SMALLEST, np.inf, top).astype(x.dtype)
    numbers = xp.rint(filled * (_LARGEST / kept)) * (top / _LARGEST + (top - top))
    return numbers.reshape(*x.shape[:-1], groups * GROUP)[..., :columns]

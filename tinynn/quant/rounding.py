"""Rounding a matrix of floats to few bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynn.backend.dtypes import bfloat16
from tinynn.backend.reference.quantized import GROUP, ROWS
from tinynn.quant.matrices import FORMATS, HalfMatrix, QuantizedMatrix
from tinynn.quant.packing import pack, pack_gguf

Array = np.ndarray[Any, Any]
Matrix = QuantizedMatrix | HalfMatrix

_SIZES = {name: size for size, name in FORMATS.items()}
_STRIP = 1 << 12  # rows that are rounded at a time, so that what is needed in between stays small


def quantize(weight: Array, format: str) -> Matrix:
    """A matrix in fewer bits.

    Each number becomes the nearest that the format has: it is off by at most half a scale, which is
    max |w| / 127 over a row ("int8") or over 32 columns of it ("int8-32"), (max w - min w) / 15
    ("int4") or max |w| / 8 ("int4-symmetric"). Those of 32 columns, and the offset, min w, are made
    float16 so that no number is out of reach. But "int4-symmetric" has one code less on the side
    that the largest number is not on, where a number can be off by a whole scale.

    Arguments:
        weight: [outputs, inputs] float; columns are multiplied by the input of a layer.
        format: "int8", "int8-32", "int4" or "int4-symmetric" (see `QuantizedMatrix`), "fp16" or
            "bf16".

    Raises ValueError for another format or shape, for numbers that are NaN or infinite, and for
    numbers whose scales float16 cannot hold.

    >>> import numpy as np
    >>> w = quantize(np.array([[0.5, -1.27], [0, 4]], np.float32), "int8")
    >>> w, w.dequantize()
    (QuantizedMatrix('int8', shape=(2, 2)), array([[ 0.5 , -1.27],
           [ 0.  ,  4.  ]], dtype=float32))
    """
    if format not in _SIZES and format not in ("fp16", "bf16"):
        known = ", ".join((*_SIZES, "fp16", "bf16"))
        raise ValueError(f"quantize: format is {format!r}, expected one of {known}")
    if weight.ndim != 2 or weight.dtype.kind not in "fV":
        raise ValueError(
            f"quantize: weight is {weight.dtype} {list(weight.shape)}, expected floats with two "
            "axes"
        )
    if format in ("fp16", "bf16"):
        return HalfMatrix(weight.astype(np.float16 if format == "fp16" else bfloat16()))
    outputs, inputs = weight.shape
    tiles, groups = -(-outputs // ROWS), -(-inputs // GROUP)
    blocks = np.empty((tiles, groups, _SIZES[format]), np.uint8)
    scales = np.zeros(tiles * ROWS, np.float32) if format == "int8" else None
    for first in range(0, outputs, _STRIP):
        part = np.zeros((min(_STRIP, outputs - first), groups * GROUP), np.float32)
        part[:, :inputs] = weight[first : first + _STRIP]
        if not np.isfinite(part).all():
            raise ValueError("quantize: weight holds NaN or infinity, expected finite numbers")
        codes, halves = _rounded(part, format, scales, first)
        tile = first // ROWS
        packed = pack(codes, halves, _SIZES[format])
        blocks[tile : tile + len(packed)] = packed
    return QuantizedMatrix(blocks, scales, (outputs, inputs))


def from_gguf(raw: Array, kind: str, shape: tuple[int, int]) -> QuantizedMatrix:
    """A matrix from the bytes of a GGUF file, with the very numbers that it has there.

    Arguments:
        raw: uint8 of any shape, such as `data` of gguf's ReaderTensor.
        kind: "Q8_0", "Q4_0" or "Q4_1".
        shape: (outputs, inputs), the reverse of the order in the file.

    Raises ValueError for another kind, for inputs that are not whole blocks of 32, and for a number
    of bytes that is not the one of such a matrix.

    >>> import numpy as np
    >>> block = np.frombuffer(np.float16(2).tobytes() + bytes(range(32)), np.uint8)
    >>> from_gguf(block, "Q8_0", (1, 32)).dequantize()[0, :4]
    array([0., 2., 4., 6.], dtype=float32)
    """
    return QuantizedMatrix(pack_gguf(raw, kind, shape), None, shape)


def _rounded(
    weight: Array, format: str, row_scales: Array | None, first: int
) -> tuple[Array, list[Array]]:
    """(codes as `pack` takes them, the float16 of each group) of rows from `first` on."""
    grouped = weight.reshape(len(weight), -1, GROUP)
    if format == "int4":
        low, high = grouped.min(axis=2), grouped.max(axis=2)
        offset = _down(low)
        scale = _away((high - offset) / np.float32(15))
        codes = _nearest(grouped - offset.astype(np.float32)[..., None], scale, 0, 15)
        return _pairs(codes), [scale, offset]
    if format == "int4-symmetric":
        # The largest number becomes -8 times a scale, of either sign.
        place = np.abs(grouped).argmax(axis=2)[..., None]
        scale = _away(np.take_along_axis(grouped, place, axis=2)[..., 0] / np.float32(-8))
        return _pairs(_nearest(grouped, scale, -8, 7) + np.uint8(8)), [scale]
    if row_scales is not None:
        scale = np.abs(weight).max(axis=1, initial=0) / np.float32(127)
        row_scales[first : first + len(weight)] = scale
        codes = _nearest(grouped, scale[:, None], -127, 127)
        return _bytes(codes), []
    scale = _away(np.abs(grouped).max(axis=2) / np.float32(127))
    return _bytes(_nearest(grouped, scale, -127, 127)), [scale]


def _nearest(x: Array, scale: Array, lowest: int, highest: int) -> Array:
    """x / scale as int8, the scale being one for each group; 0 where the scale is 0."""
    wide = scale.astype(np.float32)[..., None]
    quotient = np.divide(x, wide, out=np.zeros_like(x), where=wide != 0)
    return np.clip(np.rint(quotient, out=quotient), lowest, highest, out=quotient).astype(np.int8)


def _away(x: Array) -> Array:
    """x as float16, rounded away from zero: so that all numbers are within reach of a scale."""
    half = _half(x)
    further = np.nextafter(half, np.copysign(np.float16(np.inf), half))
    return _finite(np.where(np.abs(half.astype(np.float32)) < np.abs(x), further, half))


def _down(x: Array) -> Array:
    """x as float16, rounded down."""
    half = _half(x)
    below = np.nextafter(half, np.float16(-np.inf))
    return _finite(np.where(half.astype(np.float32) > x, below, half))


def _half(x: Array) -> Array:
    with np.errstate(over="ignore"):
        return x.astype(np.float16)


def _finite(half: Array) -> Array:
    if np.isfinite(half).all():
        return half
    raise ValueError(
        "quantize: weight has numbers too large for float16 scales and offsets; expected smaller "
        "ones, or format 'int8'"
    )


def _bytes(codes: Array) -> Array:
    """Four codes of 8 bits as one uint32: [rows, groups, 8]."""
    return (codes.view(np.uint8) ^ np.uint8(128)).view(np.uint32)


def _pairs(codes: Array) -> Array:
    """Eight codes of 4 bits as one uint32: [rows, groups, 4]."""
    low, high = codes[..., : GROUP // 2], codes[..., GROUP // 2 :]
    return (low.astype(np.uint8) | (high.astype(np.uint8) << np.uint8(4))).view(np.uint32)

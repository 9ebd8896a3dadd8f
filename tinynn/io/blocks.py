"""Quantized blocks as the numbers they stand for.

The usual three are decoded here, and every other type by the package `gguf`. A block's layout is a
NumPy record, so that its decoding reads as its formula.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.io.stored_types import TYPES

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, Any]

Q8_0 = np.dtype([("scale", "<f2"), ("values", "i1", 32)])
# Byte i holds value i in its lower half and value i + 16 in its upper half.
Q4_0 = np.dtype([("scale", "<f2"), ("halves", "u1", 16)])
Q4_1 = np.dtype([("scale", "<f2"), ("least", "<f2"), ("halves", "u1", 16)])

_AT_ONCE = 2**14  # blocks: temporaries stay in the cache, and small beside the result


def dequantize(type: str, raw: Array) -> Array:
    """The values of blocks that lie one after the other.

    Arguments:
        type: the blocks' type, such as "Q4_1".
        raw: [bytes] uint8, whole blocks.

    Returns:
        [values] float32, a new array.

    Raises:
        ImportError: the type needs the package `gguf`, which is not installed.
        ValueError: the installed `gguf` cannot decode the type.

    >>> block = np.zeros(1, Q8_0)
    >>> block["scale"], block["values"] = 0.5, np.arange(32)
    >>> dequantize("Q8_0", block.view(np.uint8))[:4]
    array([0. , 0.5, 1. , 1.5], dtype=float32)
    """
    values, nbytes, _ = TYPES[type]
    decode = _DECODERS.get(type) or _gguf_decoder(type)
    blocks = raw.reshape(-1, nbytes)
    out = np.empty((len(blocks), values), np.float32)
    # Scales of a damaged file may be infinite or no numbers, and are passed on as they are.
    with np.errstate(all="ignore"):
        for start in range(0, len(blocks), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            decode(blocks[some], out[some])
    return out.reshape(-1)


def _decode_q8_0(blocks: Array, out: Array) -> None:
    records = blocks.view(Q8_0)[:, 0]
    np.multiply(_column(records["scale"]), records["values"], out)


def _decode_q4_0(blocks: Array, out: Array) -> None:
    records = blocks.view(Q4_0)[:, 0]
    _spread(records["halves"], out)
    out -= 8
    out *= _column(records["scale"])


def _decode_q4_1(blocks: Array, out: Array) -> None:
    records = blocks.view(Q4_1)[:, 0]
    _spread(records["halves"], out)
    out *= _column(records["scale"])
    out += _column(records["least"])


def _column(halfs: Array) -> Array:
    return halfs.astype(np.float32)[:, None]


def _spread(halves: Array, out: Array) -> None:
    np.bitwise_and(halves, 15, out[:, :16], casting="unsafe")
    np.right_shift(halves, 4, out[:, 16:], casting="unsafe")


_DECODERS: dict[str, Callable[[Array, Array], None]] = {
    "Q8_0": _decode_q8_0,
    "Q4_0": _decode_q4_0,
    "Q4_1": _decode_q4_1,
}


def _gguf_decoder(type: str) -> Callable[[Array, Array], None]:
    try:
        from gguf import GGMLQuantizationType, quants
    except ImportError:
        raise ImportError(
            f"dequantize: {type} is decoded by the package gguf, which is not installed: "
            "pip install 'tinynn[llm]'"
        ) from None

    def decode(blocks: Array, out: Array) -> None:
        try:
            # One long row: the package loops in Python over groups of rows.
            row = quants.dequantize(blocks.reshape(1, -1), GGMLQuantizationType[type])
        except (KeyError, NotImplementedError):
            raise ValueError(f"dequantize: the installed gguf cannot decode {type}") from None
        out[:] = row.reshape(out.shape)

    return decode

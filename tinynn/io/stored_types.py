"""What a file may say that a tensor's values are: numbers of a dtype, or blocks of small integers.

The names are those of GGUF (F32, BF16, Q4_1); safetensors has the same ones for numbers. A block
holds some values of one row with what they share, such as a scale, so a row is whole blocks.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class StoredType(NamedTuple):
    """How many values a block holds, its bytes, and the dtype where a block is a single number."""

    values: int
    nbytes: int
    dtype: str = ""


TYPES = {
    "F64": StoredType(1, 8, "float64"),
    "F32": StoredType(1, 4, "float32"),
    "F16": StoredType(1, 2, "float16"),
    "BF16": StoredType(1, 2, "bfloat16"),
    "I64": StoredType(1, 8, "int64"),
    "I32": StoredType(1, 4, "int32"),
    "I16": StoredType(1, 2, "int16"),
    "I8": StoredType(1, 1, "int8"),
    "U64": StoredType(1, 8, "uint64"),
    "U32": StoredType(1, 4, "uint32"),
    "U16": StoredType(1, 2, "uint16"),
    "U8": StoredType(1, 1, "uint8"),
    "BOOL": StoredType(1, 1, "bool"),
    "Q1_0": StoredType(128, 18),
    "Q4_0": StoredType(32, 18),
    "Q4_1": StoredType(32, 20),
    "Q5_0": StoredType(32, 22),
    "Q5_1": StoredType(32, 24),
    "Q8_0": StoredType(32, 34),
    "Q8_1": StoredType(32, 40),
    "Q2_K": StoredType(256, 84),
    "Q3_K": StoredType(256, 110),
    "Q4_K": StoredType(256, 144),
    "Q5_K": StoredType(256, 176),
    "Q6_K": StoredType(256, 210),
    "Q8_K": StoredType(256, 292),
    "IQ1_S": StoredType(256, 50),
    "IQ1_M": StoredType(256, 56),
    "IQ2_XXS": StoredType(256, 66),
    "IQ2_XS": StoredType(256, 74),
    "IQ2_S": StoredType(256, 82),
    "IQ3_XXS": StoredType(256, 98),
    "IQ3_S": StoredType(256, 110),
    "IQ4_NL": StoredType(32, 18),
    "IQ4_XS": StoredType(256, 136),
    "TQ1_0": StoredType(256, 54),
    "TQ2_0": StoredType(256, 66),
    "MXFP4": StoredType(32, 17),
    "NVFP4": StoredType(64, 36),
}
TYPE_OF_DTYPE = {stored.dtype: name for name, stored in TYPES.items() if stored.dtype}
MAX_DIMENSIONS = 32
MAX_VALUES = 2**59  # in any dtype they take fewer bytes than NumPy can count


def stored_nbytes(type: str, shape: Sequence[int]) -> int:
    """The bytes of a tensor, from a header that may say anything.

    Raises:
        ValueError: an unknown type, too many dimensions, a size that is negative or absurd, or rows
            that are no whole blocks; the message is for the caller to put a name in front of.

    >>> stored_nbytes("Q4_1", (2, 64))
    80
    """
    if type not in TYPES:
        raise ValueError(f"has type {type:.40}, expected one of {', '.join(TYPES)}")
    if len(shape) > MAX_DIMENSIONS:
        raise ValueError(f"has {len(shape)} dimensions, the limit is {MAX_DIMENSIONS}")
    values, nbytes, _ = TYPES[type]
    # Sizes of 0 count as 1 here: (0, 2**62, 2**62) is empty and still absurd.
    if min(shape, default=0) < 0 or math.prod(max(size, 1) for size in shape) > MAX_VALUES:
        raise ValueError(f"has a shape of negative size or of more than {MAX_VALUES} values")
    row = shape[-1] if shape else 1
    if row % values:
        raise ValueError(
            f"is {type} with rows of {row} values, expected a multiple of its block of {values}"
        )
    return math.prod(shape) // values * nbytes

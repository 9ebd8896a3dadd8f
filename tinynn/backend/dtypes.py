"""Dtypes: their names, the default, and the one promotion table.

The rules are PyTorch's (https://pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc),
which differ from NumPy's where an integer meets a float: int64 with float32 is float32.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

DType: TypeAlias = "np.dtype[Any]"
DTypeLike: TypeAlias = "DType | type | str"

float16: DType = np.dtype("float16")
float32: DType = np.dtype("float32")
float64: DType = np.dtype("float64")
int8: DType = np.dtype("int8")
int16: DType = np.dtype("int16")
int32: DType = np.dtype("int32")
int64: DType = np.dtype("int64")
uint8: DType = np.dtype("uint8")
bool_: DType = np.dtype("bool")

DEFAULT_FLOAT = float32

# Categories in the order in which one absorbs another: bool, then integers, then floats.
BOOL, INTEGER, FLOAT = 0, 1, 2
_KINDS = {"b": BOOL, "i": INTEGER, "u": INTEGER, "f": FLOAT}


def as_dtype(dtype: DTypeLike) -> DType:
    """A dtype from what a user may write: `tn.float32`, `np.float32`, `float`, `"bfloat16"`.

    Python's types mean what they mean to PyTorch, `float` being float64. Raises TypeError for
    dtypes the engine does not compute with (complex numbers, strings, objects).

    >>> as_dtype("float32"), as_dtype(float), as_dtype(int)
    (dtype('float32'), dtype('float64'), dtype('int64'))
    """
    if isinstance(dtype, str) and dtype == "bfloat16":
        return bfloat16()
    try:
        result = np.dtype(dtype)
        category(result)
    except TypeError:
        raise TypeError(
            f"dtype: {dtype!r} is not one the engine computes with; expected bool, an integer, "
            "float16, bfloat16, float32 or float64"
        ) from None
    return result if result.isnative else result.newbyteorder("=")


@lru_cache(maxsize=1)
def bfloat16() -> DType:
    """The dtype of 16-bit brain floats, which NumPy takes from the package ml_dtypes."""
    import ml_dtypes

    dtype: DType = np.dtype(ml_dtypes.bfloat16)
    return dtype


def is_bfloat16(dtype: DType) -> bool:
    """Whether the dtype is that of 16-bit brain floats; does not load the package."""
    return dtype.kind == "V" and dtype.name == "bfloat16"


def category(dtype: DType) -> int:
    """BOOL, INTEGER or FLOAT; TypeError for anything else."""
    kind = _KINDS.get(dtype.kind)
    if kind is not None:
        return kind
    if is_bfloat16(dtype):
        return FLOAT
    raise TypeError(f"dtype: {dtype} is not supported; expected a bool, integer or float dtype")


def is_floating(dtype: DType) -> bool:
    """Whether the dtype is a float, and so can carry a gradient."""
    return category(dtype) == FLOAT


def is_half(dtype: DType) -> bool:
    """Whether the dtype is a float of 16 bits, in which products and sums are not computed.

    >>> is_half(float16), is_half(int16)
    (True, False)
    """
    return dtype.itemsize == 2 and category(dtype) == FLOAT


@cache
def promote(left: DType, right: DType) -> DType:
    """The common dtype of two arrays that both have dimensions.

    >>> promote(int64, float32), promote(uint8, int8), promote(bool_, uint8)
    (dtype('float32'), dtype('int16'), dtype('uint8'))
    """
    if left == right:
        return left
    first, second = category(left), category(right)
    if first != second:
        return left if first > second else right
    if first == FLOAT and left.itemsize == right.itemsize:  # float16 with bfloat16
        return float32
    if first == FLOAT:
        return left if left.itemsize > right.itemsize else right
    result = np.promote_types(left, right)
    if result.kind == "f":
        raise TypeError(f"dtype: no integer dtype holds both {left} and {right}; cast one of them")
    return result


def _join(current: DType | None, dtype: DType) -> DType:
    return dtype if current is None else promote(current, dtype)


def result_type(arrays: Sequence[Any], scalars: Sequence[bool | int | float]) -> DType:
    """The common dtype of arrays and Python scalars by PyTorch's rule.

    Arrays with dimensions decide, then 0-d arrays, then Python scalars: a later group counts only
    when its category is above that of the groups before it, so that `x * 2.0` keeps x's dtype.

    >>> result_type([np.ones(2, np.int64)], [1.5]), result_type([np.ones(2, np.float16)], [2])
    (dtype('float32'), dtype('float16'))
    """
    dimensioned: DType | None = None
    zero_dim: DType | None = None
    for array in arrays:
        if array.ndim:
            dimensioned = _join(dimensioned, array.dtype)
        else:
            zero_dim = _join(zero_dim, array.dtype)
    scalar: DType | None = None
    for value in scalars:
        scalar = _join(scalar, _SCALAR_DTYPES[type(value)])
    result: DType | None = None
    for candidate in (dimensioned, zero_dim, scalar):
        if candidate is not None and (result is None or category(candidate) > category(result)):
            result = candidate
    return DEFAULT_FLOAT if result is None else result


_SCALAR_DTYPES = {bool: bool_, int: int64, float: DEFAULT_FLOAT}

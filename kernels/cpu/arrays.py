"""What kernels ask of the arrays that they are given."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tinynn.kernels.cpu.vectors import lanes_of

Array = np.ndarray[Any, Any]

FLOATS = frozenset((np.dtype(np.float32), np.dtype(np.float64)))


def uniform(*arrays: Array | None) -> bool:
    """Whether all arrays (None aside) are contiguous, of one dtype, and that float32 or float64."""
    dtype = arrays[0].dtype  # type: ignore[union-attr]
    if dtype not in FLOATS:
        return False
    for array in arrays:
        if array is not None and not (array.dtype == dtype and array.flags.c_contiguous):
            return False
    return True


def contiguous(array: Array) -> Array:
    """The array, or a copy of it that lies in order in memory."""
    return array if array.flags.c_contiguous else np.ascontiguousarray(array, like=array)


def whole_vectors(array: Array) -> Array:
    """The array in order in memory, with zeros behind its last axis up to whole vectors."""
    lanes, columns = lanes_of(array.itemsize), array.shape[-1]
    if columns % lanes == 0:
        return contiguous(array)
    shape = (*array.shape[:-1], -(-columns // lanes) * lanes)
    result = np.zeros(shape, array.dtype, like=array)
    result[..., :columns] = array
    return result


def widened(array: Array) -> Array:
    """The array in order in memory, 16-bit floats as float32: to compute with."""
    return contiguous(array if array.dtype.itemsize != 2 else array.astype(np.float32))


def narrowed(array: Array, like: Array, out: Array | None = None) -> Array:
    """The array in the dtype of `like`, in `out` where that is given."""
    if out is array or (out is None and array.dtype == like.dtype):
        return array
    if out is None:
        return array.astype(like.dtype)
    out[...] = array
    return out


def rows(array: Array) -> Array:
    """The array as a matrix of its last axis: [..., columns] -> [rows, columns], without a copy."""
    if array.ndim == 2:
        return array
    return array.reshape(prod(array.shape[:-1]), array.shape[-1])


def cell(value: Any, dtype: Any = np.float64) -> Array:
    """A number as an array [1], which compiled code reads anew in each call; such an array itself.

    A number that changes from step to step, such as the learning rate, can so be part of a call
    that stays the same.
    """
    if hasattr(value, "dtype"):
        return value.astype(dtype, copy=False).reshape(1)
    return np.full(1, value, dtype)


def stored(array: Array) -> Array:
    """The array as compiled code knows it, which has no 16-bit floats: as their bits, uint16 for
    bfloat16 and int16 for float16 (see `vectors.load_floats`)."""
    if array.dtype.itemsize != 2:
        return array
    return array.view(np.int16 if array.dtype == np.float16 else np.uint16)

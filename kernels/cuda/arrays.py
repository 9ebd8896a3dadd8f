"""What launchers ask of the arrays that they are given."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

Array = Any

# How C++ calls the dtypes that kernels compute with.
TYPES = {
    "float32": "float",
    "float64": "double",
    "float16": "__half",
    "bfloat16": "__nv_bfloat16",
}
_WIDE = {"float64": np.dtype("float64")}

THREADS = 256  # of a block, where nothing speaks for another number
_BLOCKS_PER_MULTIPROCESSOR = 2048 // THREADS


def uniform(*arrays: Array | None) -> bool:
    """Whether all arrays (None aside) are contiguous and of one float dtype in TYPES."""
    dtype = arrays[0].dtype
    if dtype.name not in TYPES:
        return False
    for array in arrays:
        if array is not None and not (array.dtype == dtype and array.flags.c_contiguous):
            return False
    return True


def wide(dtype: Any) -> Any:
    """The dtype that kernels compute in: float64 for itself, else float32."""
    return _WIDE.get(dtype.name, np.dtype("float32"))


def address(array: Array) -> int:
    """Where the array's first element lies."""
    try:
        return int(array.data.ptr)  # CuPy
    except (AttributeError, ValueError):
        return int(array.__array_interface__["data"][0])


def aligned(size: int, *arrays: Array | None) -> bool:
    """Whether all arrays (None aside) begin at a multiple of so many bytes, as groups have to."""
    return all(array is None or address(array) % size == 0 for array in arrays)


def rows(array: Array) -> tuple[int, int]:
    """The array as a matrix of its last axis: (rows, columns)."""
    return prod(array.shape[:-1]), array.shape[-1]


def blocks_for(work: int, multiprocessors: int, threads: int = THREADS) -> int:
    """How many blocks take so much work, a thread each time, without more than fit the GPU."""
    most = multiprocessors * _BLOCKS_PER_MULTIPROCESSOR * THREADS // threads
    return max(1, min(-(-work // threads), most))


def live(value: Any) -> tuple[Any, Any]:
    """(number, array of one element or None): a number, which is one of the two.

    A number that changes from step to step is an array, which a recorded launch reads anew.
    """
    if hasattr(value, "dtype") and not isinstance(value, np.generic):
        return np.float64(0), value.astype(np.float64, copy=False)
    return np.float64(value), None

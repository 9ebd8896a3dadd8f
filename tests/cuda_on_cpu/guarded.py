"""Arrays in the middle of memory that must be neither read nor written."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

_MARGIN = 256  # bytes at least, on either side
_FILL = 0xFF  # NaN as a float of any size, -1 as an integer


class Guarded:
    """Copies of arrays with NaN around them.

    Under a sanitizer they end where their memory ends, beyond which it looks after itself.

    >>> guard = Guarded()
    >>> x = guard.copy(np.ones(3))
    >>> guard.check()
    >>> x.base[0] = 0  # what a kernel must not do
    >>> guard.check()
    Traceback (most recent call last):
        ...
    AssertionError: bytes [0] before or behind an array of shape (3,) were written
    """

    def __init__(self) -> None:
        self._kept: list[tuple[np.ndarray[Any, Any], int, np.ndarray[Any, Any]]] = []
        self._margin = 0 if os.environ.get("CUDA_ON_CPU_SANITIZER") else _MARGIN

    def copy(self, array: np.ndarray[Any, Any], misaligned: bool = False) -> Any:
        """The array's values in guarded memory, at a multiple of 16 bytes.

        misaligned: at a multiple of the element's size alone, as a view into a buffer may be.
        """
        offset = array.itemsize if misaligned else 0
        memory = np.full(offset + array.nbytes + 2 * self._margin, _FILL, np.uint8)
        assert memory.__array_interface__["data"][0] % 16 == 0
        first = self._margin + offset
        result = memory[first : first + array.nbytes].view(array.dtype).reshape(array.shape)
        result[...] = array
        self._kept.append((memory, first, result))
        return result

    def check(self) -> None:
        """AssertionError where the memory around an array was changed."""
        for memory, first, array in self._kept:
            outside = memory != _FILL
            outside[first : first + array.nbytes] = False
            places = np.flatnonzero(outside)[:8].tolist()
            if places:
                raise AssertionError(
                    f"bytes {places} before or behind an array of shape {array.shape} were written"
                )

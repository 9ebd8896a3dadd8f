"""The same tests on a GPU: launchers are given copies of NumPy arrays there.

TINYNN_CUDA_TESTS=card in the environment asks for it, see tests/gpu_check.py. What lies around an
array in its memory is copied with it and back, so that a launcher's writes beyond its arrays show
here as well, and addresses are as much out of line as those of the NumPy arrays.
"""

from __future__ import annotations

import os
from functools import wraps
from typing import Any

import numpy as np

from tinynn.backend.devices import Backend, Device, backend_for


def asked_for() -> bool:
    return os.environ.get("TINYNN_CUDA_TESTS") == "card"


def on_card(launcher: Any, backend: Backend | None = None) -> Any:
    """The launcher on the arrays of a backend, of CuPy unless another is given."""
    own = backend or backend_for(Device("cuda"))

    @wraps(launcher)
    def call(*arrays: Any, **attributes: Any) -> Any:
        copies = Copies(own)
        result = launcher(
            *map(copies.there, arrays),
            **{name: copies.there(value) for name, value in attributes.items()},
        )
        copies.copy_back()
        if type(result) is tuple:
            return tuple(copies.here(item) for item in result)
        return copies.here(result)

    return call


class Copies:
    """Copies of the memory of NumPy arrays on a device, one for all arrays that lie in it."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._memories: dict[int, tuple[np.ndarray[Any, Any], Any]] = {}

    def there(self, value: Any) -> Any:
        """An array's copy, at the same place in the same memory; other values as they are."""
        if not isinstance(value, np.ndarray):
            return value
        if not value.size:
            return self.backend.from_host(value.copy(), None)
        memory = _bytes_of(value)
        start = memory.__array_interface__["data"][0]
        if start not in self._memories:
            self._memories[start] = memory, self.backend.from_host(memory.copy(), None)
        offset = value.__array_interface__["data"][0] - start
        copy = self._memories[start][1]
        return self.backend.view_of(copy, offset, value.shape, value.strides, value.dtype)

    def copy_back(self) -> None:
        """What was written on the device, also where it should not have been."""
        for memory, copy in self._memories.values():
            found = self.backend.to_host(copy)
            if not np.array_equal(memory, found):  # else it may be read-only
                memory[...] = found

    def here(self, value: Any) -> Any:
        return self.backend.to_host(value) if isinstance(value, self.backend.array_type) else value


def _bytes_of(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The whole memory that an array lies in."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    whole = array if array.flags.c_contiguous else array.T
    assert whole.flags.c_contiguous
    return whole.reshape(-1).view(np.uint8)

"""Where the fake's arrays lie: what `array.data.ptr` and `cupy.ndarray(memptr=...)` are for."""

from typing import Any

from tests.fake_cupy.array import ndarray, wrap
from tinynn.backend.devices import NUMPY


def address_of(array: ndarray) -> int:
    """The address of the first element."""
    return NUMPY.address_of(array._host)


def view_of(array: ndarray, offset: int, shape: Any, strides: Any, dtype: Any) -> ndarray:
    """A part of an array's memory."""
    return wrap(NUMPY.view_of(array._host, offset, shape, strides, dtype))

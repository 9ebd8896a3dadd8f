"""16-bit floats are stored, not computed with: arithmetic is done in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any


def widened(array: Array) -> Array:
    """The array in a dtype to compute with: itself, or float32 from a 16-bit float; None stays."""
    if array is None or array.dtype.itemsize > 2:
        return array
    return array.astype(np.float32)


def narrowed(array: Array, like: Array, out: Array | None = None) -> Array:
    """The result in the dtype of `like`, written to `out` where that is given."""
    if out is not None:
        out[...] = array.astype(out.dtype)
        return out
    return array if array.dtype == like.dtype else array.astype(like.dtype)


def scalar(value: Any, array: Array) -> Any:
    """A number as it is; a one-element array as a 0-d one of the array's dtype."""
    return value.reshape(()).astype(array.dtype) if hasattr(value, "astype") else value

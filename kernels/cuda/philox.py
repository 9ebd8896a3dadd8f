"""What kernels are told of the random numbers that they draw."""

from __future__ import annotations

from typing import Any

import numpy as np


def counters(key: int, stream: Any, step: Any, offset: Any) -> tuple[Any, ...]:
    """The arguments key0, key1 and, for each of stream, step and offset, (number, its address).

    Of an array of one integer the kernel itself reads the number, so that a recorded launch sees
    what it is then.
    """
    words = (word for value in (stream, step, offset) for word in _word(value))
    return np.uint32(key & 0xFFFFFFFF), np.uint32(key >> 32), *words


def _word(value: Any) -> tuple[Any, Any]:
    if hasattr(value, "dtype") and not isinstance(value, np.generic):
        return np.uint32(0), value.astype(np.int64, copy=False)
    return np.uint32(value & 0xFFFFFFFF), None

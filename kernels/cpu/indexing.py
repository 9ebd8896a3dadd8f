"""Adding rows to chosen rows, as the gradient of an embedding does."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynn.kernels.cpu.arrays import Array, rows, uniform
from tinynn.kernels.cpu.compiler import jit


def index_add(target: Array, index: Array, source: Array, *, out: None = None) -> Any:
    """target[index[i]] += source[i], in place; see the reference of the same name."""
    if not uniform(target, source) or target.ndim != 2:
        return NotImplemented
    index = np.ascontiguousarray(index.ravel(), np.int64)
    bad = _index_add(target, index, rows(source))
    if bad >= 0:
        raise IndexError(
            f"index_add: index[{bad}] is {index[bad]}, but the target has {target.shape[0]} rows"
        )
    return target


@jit
def _index_add(target, index, source):
    count, columns = target.shape
    for i in range(index.shape[0]):
        if index[i] < 0 or index[i] >= count:
            return i
    # Serial, for rows that come more than once: two threads must not add to one row.
    for i in range(index.shape[0]):
        place = index[i]
        for j in range(columns):
            target[place, j] += source[i, j]
    return -1


index_add.mutates = (0,)  # type: ignore[attr-defined]

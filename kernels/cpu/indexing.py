"""Adding rows to chosen rows, as the gradient of an embedding does."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynn.kernels.cpu.arrays import Array, rows, uniform
from tinynn.kernels.cpu.compiler import twins


def index_add(target: Array, index: Array, source: Array, *, out: None = None) -> Any:
    """target[index[i]] += source[i], in place; see the reference of the same name."""
    if not uniform(target, source) or target.ndim != 2:
        return NotImplemented
    _index_add(0, target, index.ravel().astype(np.int64, copy=False), rows(source))
    return target


def _refuse(place, target, index, source):
    raise IndexError(
        f"index_add: index[{place}] is {index[place]}, but the target has {target.shape[0]} rows"
    )


# Never on several threads: two of them must not add to one row.
@twins(1, "target", refuse=_refuse)
def _index_add(target, index, source):
    count, columns = target.shape
    for i in range(index.shape[0]):
        if index[i] < 0 or index[i] >= count:
            return i
    for i in range(index.shape[0]):
        place = index[i]
        for j in range(columns):
            target[place, j] += source[i, j]
    return -1


index_add.mutates = (0,)  # type: ignore[attr-defined]

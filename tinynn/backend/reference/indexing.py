"""Adding rows to chosen rows."""

from __future__ import annotations

from typing import Any

from tinynn.backend import recording
from tinynn.backend.devices import array_module
from tinynn.backend.reference.precision import widened

Array = Any


def index_add(target: Array, index: Array, source: Array, *, out: None = None) -> Array:
    """target[index[i]] += source[i], in place, also for indices that come more than once.

    Arguments:
        target: [R, C] float, changed.
        index: [...] integers in 0 to R - 1.
        source: [..., C], of the target's dtype.

    Returns the target. Raises IndexError for an index out of range, and changes nothing.
    """
    index, source = index.reshape(-1), source.reshape(index.size, target.shape[1])
    recording.checked(_check_range, index, target.shape[0])
    sums = widened(target)
    array_module(target).add.at(sums, index, widened(source))
    if sums is not target:
        target[...] = sums.astype(target.dtype)
    return target


def _check_range(index: Array, rows: int) -> None:
    bad = (index < 0) | (index >= rows)
    if bool(bad.any()):
        place = int(bad.argmax())
        raise IndexError(
            f"index_add: index[{place}] is {int(index[place])}, but the target has {rows} rows"
        )


index_add.mutates = (0,)  # type: ignore[attr-defined]

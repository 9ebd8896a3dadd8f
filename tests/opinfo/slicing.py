"""Samples of parts of a tensor: split, chunk, unbind."""

from __future__ import annotations

import numpy as np

from tests.opinfo.info import ALL, OpInfo, refuse, sample


def split(x, sizes, dim=0):
    total = x.shape[dim]
    if isinstance(sizes, int):
        starts = range(sizes, total, sizes) if sizes else []
    else:
        starts = np.cumsum(sizes)[:-1]
    return tuple(np.split(x, list(starts), axis=dim))


def chunk(x, chunks, dim=0):
    total = x.shape[dim]
    return split(x, -(-total // chunks), dim) if total else (x,) * chunks


INFOS = [
    OpInfo(
        "split",
        samples=lambda make: [
            sample(make(5), 2),
            sample(make(2, 6), 3, 1),
            sample(make(2, 6), [1, 0, 5], -1),
            sample(make(2, 6), 10, dim=1),
            sample(make(0, 2), 3),
            sample(make(2, 0), 1),
        ],
        reference=split,
        refused=lambda make: [
            refuse(RuntimeError, make(5), [2, 2], says="add up to 5"),
            refuse(RuntimeError, make(5), [6, -1], says="negative"),
            refuse(RuntimeError, make(5), 0, says="positive"),
            refuse(RuntimeError, make(5), -1, says="positive"),
            refuse(RuntimeError, make(), 1, says="one or more dimensions"),
            refuse(IndexError, make(5), 1, 1, says="dim 1"),
        ],
        dtypes=ALL,
    ),
    OpInfo(
        "chunk",
        samples=lambda make: [
            sample(make(5), 2),
            sample(make(2, 6), 4, 1),
            sample(make(2, 6), 9, -1),
            sample(make(2, 0), 2, 1),
        ],
        reference=chunk,
        refused=lambda make: [
            refuse(RuntimeError, make(5), 0, says="at least 1, got 0"),
            refuse(RuntimeError, make(), 1, says="one or more dimensions"),
            refuse(IndexError, make(5), 2, 1, says="dim 1"),
        ],
        dtypes=ALL,
    ),
    OpInfo(
        "unbind",
        samples=lambda make: [
            sample(make(3)),
            sample(make(2, 3), 1),
            sample(make(2, 0, 3), dim=-1),
            sample(make(1, 1)),
        ],
        reference=lambda x, dim=0: tuple(np.moveaxis(x, dim, 0)),
        refused=lambda make: [
            refuse(IndexError, make(), says="one or more dimensions"),
            refuse(IndexError, make(2), 1, says="dim 1"),
        ],
        dtypes=ALL,
    ),
]

"""Samples of tensor[index]."""

from __future__ import annotations

import operator

import numpy as np

from tests.opinfo.info import ALL, OpInfo, refuse, sample

BASIC = (
    0,
    -1,
    slice(1, None),
    slice(None, None, 2),
    slice(5, 1),
    (0, 1),
    (slice(None), -1),
    (..., 0),
    (0, ..., slice(1, 3)),
    None,
    (None, 1, None),
    (slice(None), None, slice(0, 0)),
    ...,
    (),
    (1, 2, 3),
)


def getitem_samples(make):
    for index in BASIC:
        yield sample(make(2, 3, 4), index)
    yield sample(make(5), slice(-3, None))
    yield sample(make(), ())
    yield sample(make(), None)
    yield sample(make(3, 4), make.indices(5, below=3, low=-3))
    yield sample(make(3, 4), make.indices(2, 2, below=3))
    yield sample(make(3, 4), make.indices(below=3))
    yield sample(make(3, 4), (slice(None), make.indices(3, below=4)))
    yield sample(make(3, 4), (make.indices(6, below=3), make.indices(6, below=4)))
    yield sample(make(3, 4), (make.indices(3, 1, below=3), make.indices(2, below=4)))
    yield sample(
        make(2, 3, 4), (make.indices(5, below=2), slice(1, None), make.indices(5, below=4))
    )
    yield sample(make(2, 3, 4), (slice(None), make.indices(3, below=3), make.indices(3, below=4)))
    yield sample(make(2, 3, 4), (..., make.indices(2, below=4)))
    yield sample(make(2, 3), (None, make.indices(4, below=2)))
    yield sample(make(3, 4), make.indices(0, below=3))
    yield sample(make(3, 4), make.mask(3, 4))
    yield sample(make(3, 4), make.mask(3))
    yield sample(make(3, 4), (slice(None), make.mask(4)))
    yield sample(make(2, 3, 4), (make.mask(2, 3), slice(0, 2)))
    yield sample(make(2, 3, 4), (0, make.mask(3)))
    yield sample(make(3, 4), np.zeros((3, 4), bool))
    yield sample(make(3, 4), [0, 2, 0])
    yield sample(make(3, 4), True)
    yield sample(make(3, 4), False)
    yield sample(make(3), (make.mask(3),))


def refused_indices(make):
    x = make(3, 4)
    yield refuse(IndexError, x, 3, says=r"index 3.*\(3, 4\)")
    yield refuse(IndexError, x, (0, -5), says="-5")
    yield refuse(IndexError, x, (0, 0, 0), says="too many indices")
    yield refuse(IndexError, x, (slice(None), slice(None), slice(None)), says="too many indices")
    yield refuse(IndexError, x, (..., 0, ...), says="ellipsis")
    yield refuse(IndexError, x, np.array([0, 3]), says=r"index 3.*\(3, 4\)")
    yield refuse(IndexError, x, (np.array([0, 3]), np.array([0, 0])), says=r"index 3.*\(3, 4\)")
    yield refuse(IndexError, x, np.array([0.0, 1.0]), says="integers or bools, got float64")
    yield refuse(IndexError, x, np.array([True, False]), says=r"mask of shape \(2,\)")
    yield refuse(
        IndexError, x, (np.array([0, 1, 2]), np.array([0, 1])), says=r"\(3,\), \(2,\) do not"
    )
    yield refuse(TypeError, x, "rows", says="got str")
    yield refuse(TypeError, x, 1.5, says="got float")


def in_turn(x, index):
    """NumPy's indexing, with PyTorch's order: integers before arrays."""
    items = index if isinstance(index, tuple) else (index,)
    if any(isinstance(item, np.ndarray) for item in items) and 0 in [
        item for item in items if type(item) is int
    ]:
        return x[0][items[1:]]
    return x[index]


INFOS = [
    OpInfo(
        "getitem",
        samples=getitem_samples,
        reference=in_turn,
        refused=refused_indices,
        dtypes=ALL,
        torch=lambda torch: operator.getitem,
    ),
    OpInfo(
        "nonzero",
        samples=lambda make: [
            sample(make.mask(3, 4)),
            sample(make(5)),
            sample(make(2, 0)),
            sample(make.mask()),
            sample(np.zeros((2, 2))),
        ],
        reference=np.argwhere,
        refused=lambda make: [refuse(TypeError, [0, 1], says="must be a tensor")],
        dtypes=ALL,
        result="int64",
        differentiable=False,
    ),
]

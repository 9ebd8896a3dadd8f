"""Samples of embedding."""

from __future__ import annotations

import numpy as np

from tests.opinfo.info import FLOATS, OpInfo, refuse, sample


def samples(make):
    yield sample(make.indices(2, 3, below=5), make(5, 4))
    yield sample(make.indices(7, below=2), make(2, 3))
    yield sample(make.indices(below=5), make(5, 4))
    yield sample(make.indices(0, below=5), make(5, 4))
    yield sample(make.indices(3, below=5).astype(np.int32), make(5, 0))
    # The row of the padding has no gradient; what samples ask about is rows that have one.
    yield sample(make.indices(3, low=1, below=5), make(5, 4), padding_idx=0)
    yield sample(make.indices(3, below=4), make(5, 4), padding_idx=-1)


def refused(make):
    table = make(5, 4)
    yield refuse(IndexError, np.array([[0, 1], [5, 7]]), table, says="has 5 at element 2.*5 rows")
    yield refuse(IndexError, np.array([0, -1]), table, says="has -1 at element 1")
    yield refuse(RuntimeError, make(3), table, says="integers, got float32")
    yield refuse(RuntimeError, np.array([0]), make(5), says=r"weight.*\(5,\)")
    yield refuse(ValueError, np.array([0]), table, padding_idx=5, says="padding_idx 5.*5")
    yield refuse(TypeError, 1, table, says="input.*int")


INFOS = [
    OpInfo(
        "embedding",
        samples=samples,
        reference=lambda input, weight, padding_idx=None: weight[input],
        refused=refused,
        dtypes=FLOATS,
        torch="nn.functional.embedding",
    ),
]

"""Samples of copies and changes of dtype."""

from __future__ import annotations

import numpy as np

from tests.opinfo.common import unary
from tests.opinfo.info import ALL, OpInfo, refuse, sample


def samples_of_to(make):
    yield sample(make(3), "float64")
    yield sample(make(2, 3), dtype=np.int64)
    yield sample(make(0), bool)
    yield sample(make())
    if make(1).dtype != np.float64:  # where float32 would be too coarse for differences
        yield sample(make(3), np.float32)


def convert(x, dtype="cpu", device=None):
    return x if dtype in ("cpu", None) else x.astype(dtype)


def in_torch(torch):
    def function(x, *target, dtype=None, device=None):
        wanted = [item for item in (*target, dtype) if item not in ("cpu", None)]
        return x.to(getattr(torch, np.dtype(wanted[0]).name)) if wanted else x

    return function


INFOS = [
    OpInfo(
        "clone",
        samples=unary(),
        reference=np.copy,
        refused=lambda make: [refuse(TypeError, 3.0, says="expected a tensor, got float")],
        dtypes=ALL,
    ),
    OpInfo(
        "to",
        samples=samples_of_to,
        reference=convert,
        refuses_nothing="what it refuses is a matter of devices and dtypes, tested there",
        dtypes=ALL,
        result=None,
        torch=in_torch,
    ),
]

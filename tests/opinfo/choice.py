"""Samples of bounds, larger and smaller ones, and where."""

from __future__ import annotations

import numpy as np

from tests.opinfo.common import binary
from tests.opinfo.info import ALL, FLOATS, NUMBERS, OpInfo, refuse, sample


def clamp_samples(make):
    inside = {"avoid": (-1, 1)}
    yield sample(make(3, 4, **inside), -1, 1)
    yield sample(make(3, 4, **inside), min=-1)
    yield sample(make(2, 0, 3, **inside), max=1)
    yield sample(make(**inside), max=1)
    yield sample(make(3, 4), 1, -1)
    yield sample(make(3, 4), make(4, high=0))
    yield sample(make(3, 1), make(1, 4, high=0), make(3, 4, low=0))
    yield sample(make(3, 4), max=make())


def clamp(x, min=None, max=None):
    x = x if min is None else np.maximum(x, min)
    return x if max is None else np.minimum(x, max)


def clamp_refused(make):
    yield refuse(RuntimeError, make(3), says="None")
    yield refuse(TypeError, make(3), "low", says="str")
    yield refuse(RuntimeError, make(3), make(4), make(4), says=r"\(3,\).*\(4,\)")


def where_samples(make):
    yield sample(make.mask(3, 4), make(3, 4), make(3, 4))
    yield sample(make.mask(3, 1), make(4), make())
    yield sample(make.mask(), make(2, 3), make(3))
    yield sample(make.mask(2, 0), make(2, 1), make(1))
    yield sample(make.mask(3, 4), make(3, 4), 0)
    yield sample(make.mask(3), 1, make(2, 1))


def where_refused(make):
    yield refuse(RuntimeError, make(3), make(3), make(3), says="bool.*float32")
    yield refuse(TypeError, True, make(3), make(3), says="bool")
    yield refuse(TypeError, make.mask(3), make(3), "other", says="str")
    yield refuse(RuntimeError, make.mask(3), make(3), make(4), says=r"\(3,\).*\(4,\)")


def larger(name, reference):
    """maximum and minimum."""
    return OpInfo(
        name,
        samples=binary(scalars=()),
        reference=reference,
        refused=lambda make: [
            refuse(TypeError, make(3), "other", says="str"),
            refuse(RuntimeError, make(3), make(4), says=r"\(3,\).*\(4,\)"),
        ],
        dtypes=ALL,
        mixed=True,
    )


INFOS = [
    OpInfo(
        "clamp",
        samples=clamp_samples,
        reference=clamp,
        refused=clamp_refused,
        dtypes=(*FLOATS, "int64"),
        mixed=True,
    ),
    OpInfo(
        "clip",
        samples=clamp_samples,
        reference=clamp,
        refused=lambda make: [refuse(RuntimeError, make(3), says="None")],
        dtypes=(*FLOATS, "int64"),
        mixed=True,
    ),
    larger("maximum", np.maximum),
    larger("minimum", np.minimum),
    OpInfo(
        "where",
        samples=where_samples,
        reference=np.where,
        refused=where_refused,
        dtypes=NUMBERS,
        mixed=True,
    ),
]

"""Samples of arithmetic."""

from __future__ import annotations

import numpy as np

from tests.opinfo.common import binary, unary
from tests.opinfo.info import ALL, FLOATS, NUMBERS, OpInfo, refuse, sample

AWAY = {"avoid": (0.0,)}
POSITIVE = {"low": 1, "high": 3}


def refused_pairs(make):
    yield refuse(RuntimeError, make(2, 3), make(2, 4), says=r"\(2, 3\).*\(2, 4\)")
    yield refuse(TypeError, make(3), "three", says="got str")
    yield refuse(TypeError, make(3), [1.0, 2.0, 3.0], says="got list")


def scaled(samples):
    """The samples, and some with alpha."""

    def more(make):
        yield from samples(make)
        yield sample(make(2, 3), make(3), alpha=2)
        yield sample(make(3), 2, alpha=3)

    return more


def refused_bools(make):
    yield from refused_pairs(make)
    yield refuse(TypeError, make(3, dtype="bool"), make(3, dtype="bool"), says="bool")


def refused_divisions(make):
    yield from refused_pairs(make)
    zero = np.array([1, 0])
    yield refuse(RuntimeError, make(2, dtype="int64"), zero, says="integer divided by zero")


def pow_samples(make):
    yield from binary(POSITIVE, {"low": 0, "high": 3}, scalars=(2, 3, 0, 1))(make)
    yield sample(make(3, **POSITIVE), 0.5)
    yield sample(2, make(3, low=0, high=3))
    yield sample(0.5, make(2, 3, low=0, high=3))
    if make(1).dtype.kind == "f":
        yield sample(make(3, **POSITIVE), -1.5)
        yield sample(make(3, **AWAY), 3)
        yield sample(make(3), 2)


INFOS = [
    OpInfo(
        "add",
        samples=scaled(binary()),
        reference=lambda a, b, alpha=1: np.add(a, np.multiply(alpha, b)),
        refused=refused_pairs,
        dtypes=NUMBERS,
        result=None,
        mixed=True,
    ),
    OpInfo(
        "sub",
        samples=scaled(binary({"low": 3, "high": 5})),
        reference=lambda a, b, alpha=1: np.subtract(a, np.multiply(alpha, b)),
        refused=refused_bools,
        dtypes=NUMBERS,
        result=None,
        mixed=True,
    ),
    OpInfo(
        "mul",
        samples=binary(),
        reference=np.multiply,
        refused=refused_pairs,
        dtypes=ALL,
        result=None,
        mixed=True,
    ),
    OpInfo(
        "div",
        samples=binary(right=AWAY),
        reference=np.true_divide,
        refused=refused_pairs,
        dtypes=NUMBERS,
        result="float",
        mixed=True,
    ),
    OpInfo(
        "floor_divide",
        samples=binary(right=POSITIVE),
        reference=np.floor_divide,
        refused=refused_divisions,
        dtypes=NUMBERS,
        result=None,
        differentiable=False,
    ),
    OpInfo(
        "remainder",
        # Between whole multiples of the divisor, where the remainder does not jump.
        samples=lambda make: [
            sample(make(2, 3, low=0.1, high=0.9) + make(2, 3, dtype="int64"), 1),
            sample(make(3, low=-0.9, high=-0.1), make(2, 1, **POSITIVE)),
            sample(make(3, 1, low=3.1, high=3.9), make(4, low=2, high=3)),
            sample(make(0, 3), make(1, 3, **POSITIVE)),
            sample(make(), 0.25),
        ],
        reference=np.remainder,
        refused=refused_divisions,
        dtypes=("float64",),
        result=None,
    ),
    OpInfo(
        "pow",
        samples=pow_samples,
        reference=np.power,
        refused=lambda make: [
            *refused_pairs(make),
            refuse(ValueError, make(3, dtype="int64"), -1, says="negative integer powers"),
        ],
        dtypes=(*FLOATS, "int64"),
        result=None,
    ),
    OpInfo(
        "neg",
        samples=unary(),
        reference=np.negative,
        refused=lambda make: [
            refuse(TypeError, make(3, dtype="bool"), says="bool"),
            refuse(TypeError, 3.0, says="expected a tensor, got float"),
        ],
        dtypes=NUMBERS,
    ),
]

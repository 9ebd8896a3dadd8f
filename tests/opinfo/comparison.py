"""Samples of comparisons and logic."""

from __future__ import annotations

import numpy as np

from tests.opinfo.common import BROADCASTING, binary, unary
from tests.opinfo.info import ALL, OpInfo, refuse, sample

COMPARISONS = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}
BITS = ("int64", "uint8", "bool")


def refused_pairs(make):
    yield refuse(RuntimeError, make(2, 3), make(2, 4), says=r"\(2, 3\).*\(2, 4\)")
    yield refuse(TypeError, make(3), "three", says="got str")


def compared(make):
    yield from binary(scalars=(1, 0.5))(make)
    same = make(2, 3)
    yield sample(same, same.copy())
    yield sample(np.array([np.nan, np.inf, 1.0]), np.array([np.nan, np.inf, np.nan]))


def pairs(make):
    for shape, other in BROADCASTING:
        yield sample(make(*shape), make(*other))


def refused_floats(make):
    yield refuse(TypeError, make(3), make(3), says="float32")
    yield refuse(RuntimeError, make(2, dtype="int64"), make(3, dtype="int64"), says=r"\(2,\)")


INFOS = [
    *(
        OpInfo(
            name,
            samples=compared,
            reference=function,
            refused=refused_pairs,
            dtypes=ALL,
            result="bool",
            mixed=True,
            differentiable=False,
        )
        for name, function in COMPARISONS.items()
    ),
    *(
        OpInfo(
            name,
            samples=pairs,
            reference=getattr(np, name),
            refused=refused_pairs,
            dtypes=ALL,
            result="bool",
            differentiable=False,
        )
        for name in ("logical_and", "logical_or", "logical_xor")
    ),
    *(
        OpInfo(
            name,
            samples=pairs,
            reference=getattr(np, name),
            refused=refused_floats,
            dtypes=BITS,
            differentiable=False,
        )
        for name in ("bitwise_and", "bitwise_or", "bitwise_xor")
    ),
    OpInfo(
        "logical_not",
        samples=unary(),
        reference=np.logical_not,
        refused=lambda make: [refuse(TypeError, True, says="expected a tensor, got bool")],
        dtypes=ALL,
        result="bool",
        differentiable=False,
    ),
    OpInfo(
        "bitwise_not",
        samples=unary(),
        reference=np.bitwise_not,
        refused=lambda make: [refuse(TypeError, make(3), says="float32")],
        dtypes=BITS,
        differentiable=False,
    ),
]

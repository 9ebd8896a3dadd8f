"""Samples of products and triangles."""

from __future__ import annotations

import numpy as np

from tests.opinfo.info import ALL, FLOATS, OpInfo, refuse, sample

PRODUCTS = (
    ((2, 3), (3, 4)),
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((5, 2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 2)),
    ((2, 3), (5, 3, 4)),
    ((2, 1, 2, 3), (5, 3, 4)),
    ((1, 1), (1, 1)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 3)),
    ((2, 0, 3), (3, 4)),
    ((0,), (0,)),
)


def matmul_samples(make):
    for left, right in PRODUCTS:
        yield sample(make(*left), make(*right))


def matmul_refused(make):
    yield refuse(RuntimeError, make(2, 3), make(2, 3), says=r"\(2, 3\) and \(2, 3\).*3.*2")
    yield refuse(RuntimeError, make(3), make(2), says=r"\(3,\) and \(2,\)")
    yield refuse(RuntimeError, make(), make(2), says=r"\(\) and \(2,\)")
    yield refuse(RuntimeError, make(2, 3), make(3, 2, dtype="float64"), says="float32.*float64")
    yield refuse(RuntimeError, make(2, 2, 3), make(4, 3, 2), says=r"\(2, 2, 3\).*\(4, 3, 2\)")
    yield refuse(TypeError, make(2, 3), 2.0, says="other.*float")


def outer_samples(make):
    for left, right in ((3, 4), (1, 1), (0, 3), (3, 0)):
        yield sample(make(left), make(right))


def outer_refused(make):
    yield refuse(RuntimeError, make(2, 2), make(2), says=r"input.*\(2, 2\)")
    yield refuse(RuntimeError, make(2), make(), says=r"vec2.*\(\)")


def triangle(name, reference):
    def samples(make):
        for shape in ((3, 3), (2, 4), (4, 2), (2, 3, 3), (0, 3), (2, 3, 0), (1, 1)):
            yield sample(make(*shape))
        for diagonal in (-1, 1, 5):
            yield sample(make(3, 4), diagonal)
        yield sample(make(2, 3, 4), diagonal=-2)

    return OpInfo(
        name,
        samples=samples,
        reference=lambda x, diagonal=0: reference(x, diagonal),
        refused=lambda make: [refuse(RuntimeError, make(3), says=r"2 dimensions.*\(3,\)")],
        dtypes=ALL,
    )


INFOS = [
    OpInfo(
        "matmul",
        samples=matmul_samples,
        reference=np.matmul,
        refused=matmul_refused,
        dtypes=(*FLOATS, "int64"),
    ),
    OpInfo(
        "outer",
        samples=outer_samples,
        reference=np.outer,
        refused=outer_refused,
        dtypes=(*FLOATS, "int64"),
        mixed=True,
    ),
    triangle("tril", np.tril),
    triangle("triu", np.triu),
]

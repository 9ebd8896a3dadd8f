"""Samples of rotary position embedding: a pair is a complex number, and a turn a product."""

from __future__ import annotations

import numpy as np

from tests.opinfo.info import OpInfo, refuse, sample

# Shapes of input and of the tables of angles.
SHAPES = (
    ((5, 4), (5, 2)),
    ((3, 8), (3, 2)),
    ((2, 3, 5, 6), (5, 3)),
    ((3, 4, 8), (3, 1, 4)),
    ((2, 3, 4, 6), (2, 1, 4, 3)),
    ((2, 3, 2, 4), (3, 1, 1)),
    ((2, 3, 2, 3, 4), (2, 1, 2, 1, 2)),
    ((4,), (2,)),
    ((1, 4), (1, 2)),
    ((3, 5), (3, 0)),
    ((0, 4), (0, 2)),
    ((2, 0, 4), (2, 0, 2)),
)


def tables(make, shape, dtype="float32"):
    angles = make(*shape, dtype="float64")
    return {"cos": np.cos(angles).astype(dtype), "sin": np.sin(angles).astype(dtype)}


def samples(make):
    for shape, table in SHAPES:
        for interleaved in (False, True):
            yield sample(make(*shape), **tables(make, table), interleaved=interleaved)
    yield sample(make(5, 4), **tables(make, (5, 2), "float64"))


def rope(x, cos, sin, interleaved=False):
    half = cos.shape[-1]
    rest = x[..., 2 * half :]
    a, b = (
        (x[..., 0 : 2 * half : 2], x[..., 1 : 2 * half : 2])
        if interleaved
        else (x[..., :half], x[..., half : 2 * half])
    )
    turned = (a + 1j * b) * (cos + 1j * sin)
    pairs = np.stack([turned.real, turned.imag], axis=-1 if interleaved else -2)
    return np.concatenate([pairs.reshape(*x.shape[:-1], 2 * half), rest], axis=-1)


def refused(make):
    x, table = make(3, 4), make(3, 2)
    yield refuse(RuntimeError, x, table, make(3, 1), says=r"\(3, 2\) and \(3, 1\)")
    yield refuse(RuntimeError, x, make(3, 3), make(3, 3), says=r"R <= D.*\(3, 4\).*\(3, 3\)")
    yield refuse(RuntimeError, x, make(2, 2), make(2, 2), says=r"\(3, 4\).*\(2, 2\)")
    yield refuse(RuntimeError, x, make(2, 3, 2), make(2, 3, 2), says=r"\(2, 3, 2\)")
    yield refuse(RuntimeError, make(3, 4, dtype="int64"), table, table, says="floats, got int64")
    half = make(3, 2, dtype="float16")
    yield refuse(RuntimeError, x, half, half, says="cos must be float32 or float64, got float16")
    yield refuse(TypeError, x, [1.0], table, says="cos.*list")


INFOS = [
    OpInfo(
        "rope",
        samples=samples,
        reference=rope,
        refused=refused,
        constants=("cos", "sin"),
        not_in_torch="PyTorch has no rotary embedding",
    ),
]

"""Samples of layer and RMS normalization."""

from __future__ import annotations

import numpy as np

from tests.opinfo.info import OpInfo, refuse, sample

# Input and normalized shape.
SHAPES = (
    ((4, 5), (5,)),
    ((2, 3, 4), (4,)),
    ((2, 3, 4), (3, 4)),
    ((2, 1, 3), (1, 3)),
    ((0, 4), (4,)),
    ((2, 0, 4), (4,)),
)


def last(shape):
    return tuple(range(-len(shape), 0))


def layer_norm_samples(make):
    for shape, normalized in SHAPES:
        yield sample(make(*shape), normalized)
        yield sample(make(*shape), normalized, make(*normalized), make(*normalized))
    yield sample(make(4, 5), [5], make(5), eps=0.1)
    yield sample(make(4, 5), (5,), bias=make(5))


def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    dims = last(normalized_shape)
    centred = x - x.mean(dims, keepdims=True)
    result = centred / np.sqrt(x.var(dims, keepdims=True) + eps)
    result = result if weight is None else result * weight
    return result if bias is None else result + bias


def rms_norm_samples(make):
    for shape, normalized in SHAPES:
        yield sample(make(*shape), normalized, eps=1e-5)
        yield sample(make(*shape), normalized, make(*normalized), eps=1e-5)
    yield sample(make(4, 5), [5], make(5), eps=0.1)


def rms_norm(x, normalized_shape, weight=None, eps=None):
    mean_square = (x * x).mean(last(normalized_shape), keepdims=True)
    result = x / np.sqrt(mean_square + eps)
    return result if weight is None else result * weight


def refused(make):
    x = make(4, 5)
    yield refuse(RuntimeError, x, (4,), says=r"\(4,\).*\(4, 5\)")
    yield refuse(RuntimeError, x, (3, 4, 5), says=r"\(3, 4, 5\).*\(4, 5\)")
    yield refuse(RuntimeError, x, (), says=r"\(\)")
    yield refuse(RuntimeError, x, (5,), make(4), says=r"weight.*\(5,\).*\(4,\)")
    yield refuse(RuntimeError, x, (5,), make(5, dtype="float64"), says="weight float64")
    yield refuse(RuntimeError, make(4, 5, dtype="int64"), (5,), says="floats, got int64")
    yield refuse(TypeError, x, 2.5, says="normalized_shape.*2.5")
    yield refuse(TypeError, [1.0], (1,), says="input.*list")


INFOS = [
    OpInfo(
        "layer_norm",
        samples=layer_norm_samples,
        reference=layer_norm,
        refused=refused,
        torch="nn.functional.layer_norm",
    ),
    OpInfo(
        "rms_norm",
        samples=rms_norm_samples,
        reference=rms_norm,
        refused=refused,
        torch="nn.functional.rms_norm",
    ),
]

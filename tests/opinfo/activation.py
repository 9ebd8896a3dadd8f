"""Samples of activations and softmax."""

from __future__ import annotations

import numpy as np
import scipy.special

from tests.opinfo.common import unary
from tests.opinfo.info import ALL, NUMBERS, OpInfo, refuse, sample


def not_a_tensor(make):
    return [refuse(TypeError, "three", says="str")]


def with_options(*keywords, **options):
    """Samples of unary(), and some with keywords."""

    def samples(make):
        yield from unary(**options)(make)
        for given in keywords:
            yield sample(make(3, 4, **options), **given)

    return samples


def gelu(x, approximate="none"):
    if approximate == "tanh":
        return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return x * scipy.special.ndtr(x)


def softplus(x, beta=1, threshold=20):
    return np.where(x * beta > threshold, x, np.logaddexp(0, x * beta) / beta)


def along(make):
    for shape, dim in (
        ((), 0),
        ((5,), -1),
        ((1,), 0),
        ((3, 4), 0),
        ((3, 4), 1),
        ((2, 3, 4), 1),
        ((2, 1, 3), 1),
        ((2, 0, 3), 1),
        ((0, 3), 1),
    ):
        yield sample(make(*shape), dim)
    yield sample(make(3, 4, low=-30, high=30), dim=1)


def along_refused(make):
    yield refuse(IndexError, make(2, 3), 2, says="2.*-2 to 1")
    yield refuse(TypeError, make(2, 3), 0.5, says="dim.*float")
    yield refuse(TypeError, 3.0, 0, says="input.*float")


def by_scipy(function):
    def reference(x, dim):
        if not x.size:
            return x
        return function(x.reshape(x.shape or (1,)), axis=dim).reshape(x.shape)

    return reference


INFOS = [
    OpInfo(
        "relu",
        samples=unary(avoid=(0,)),
        reference=lambda x: np.maximum(x, 0),
        refused=not_a_tensor,
        dtypes=NUMBERS,
    ),
    OpInfo(
        "leaky_relu",
        samples=with_options({"negative_slope": 0.3}, {"negative_slope": -2}, avoid=(0,)),
        reference=lambda x, negative_slope=0.01: np.where(x > 0, x, negative_slope * x),
        refused=not_a_tensor,
    ),
    OpInfo(
        "elu",
        samples=with_options({"alpha": 0.5}, {"alpha": -2.0}, avoid=(0,)),
        reference=lambda x, alpha=1.0: np.where(x > 0, x, alpha * np.expm1(x)),
        refused=not_a_tensor,
    ),
    OpInfo(
        "sigmoid",
        samples=with_options(low=-9, high=9),
        reference=scipy.special.expit,
        refused=not_a_tensor,
        dtypes=ALL,
        result="float",
    ),
    OpInfo(
        "gelu",
        samples=with_options({"approximate": "tanh"}),
        reference=gelu,
        refused=lambda make: [
            refuse(ValueError, make(3), approximate="fast", says="'none' or 'tanh', got 'fast'")
        ],
        torch="nn.functional.gelu",
    ),
    OpInfo(
        "silu",
        samples=unary(),
        reference=lambda x: x * scipy.special.expit(x),
        refused=not_a_tensor,
        torch="nn.functional.silu",
    ),
    OpInfo(
        "softplus",
        # At the threshold the function has a step.
        samples=with_options({"beta": 2}, {"beta": 2, "threshold": 1}, avoid=(0.5,)),
        reference=softplus,
        refused=not_a_tensor,
        torch="nn.functional.softplus",
    ),
    OpInfo(
        "softmax",
        samples=along,
        reference=by_scipy(scipy.special.softmax),
        refused=along_refused,
    ),
    OpInfo(
        "log_softmax",
        samples=along,
        reference=by_scipy(scipy.special.log_softmax),
        refused=along_refused,
    ),
]

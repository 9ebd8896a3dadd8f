"""Samples of functions of each element."""

from __future__ import annotations

import numpy as np
import scipy.special

from tests.opinfo.common import unary
from tests.opinfo.info import ALL, NUMBERS, OpInfo, refuse, sample


def not_a_tensor(make):
    return [refuse(TypeError, "three", says="str"), refuse(TypeError, [1.0, 2.0], says="list")]


def smooth(name, reference, **options):
    """A function of floats with a derivative everywhere between low and high."""
    return OpInfo(
        name,
        samples=unary(**options),
        reference=lambda x: reference(x.astype(np.float64)),
        refused=not_a_tensor,
        dtypes=ALL,
        result="float",
    )


def stepwise(name, reference, dtypes=NUMBERS, **options):
    """A function with derivative 0 away from its steps."""
    return OpInfo(
        name, samples=unary(**options), reference=reference, refused=not_a_tensor, dtypes=dtypes
    )


def question(name, reference):
    """A function that gives bools, which is asked about special numbers, too."""

    def samples(make):
        yield from unary()(make)
        special = make(3, 4).copy()
        if special.dtype.kind == "f":
            special[0, :3] = np.nan, np.inf, -np.inf
        yield sample(special)

    return OpInfo(
        name,
        samples=samples,
        reference=reference,
        refused=not_a_tensor,
        dtypes=ALL,
        result="bool",
        differentiable=False,
    )


def round_samples(make):
    yield from unary(avoid=(-1.5, -0.5, 0.5, 1.5))(make)
    yield sample(make(3, 4, low=-20, high=20, avoid=(-15, -5, 5, 15)), decimals=-1)


INFOS = [
    smooth("exp", np.exp),
    smooth("expm1", np.expm1),
    smooth("log", np.log, low=0.3, high=3),
    smooth("log1p", np.log1p, low=-0.5),
    smooth("sqrt", np.sqrt, low=0.3, high=3),
    smooth("rsqrt", lambda x: 1 / np.sqrt(x), low=0.3, high=3),
    smooth("reciprocal", lambda x: 1 / x, low=0.3, high=3),
    smooth("sin", np.sin),
    smooth("cos", np.cos),
    smooth("tanh", np.tanh),
    smooth("erf", scipy.special.erf),
    OpInfo(
        "square", samples=unary(), reference=lambda x: x * x, refused=not_a_tensor, dtypes=NUMBERS
    ),
    stepwise("abs", np.abs, avoid=(0,)),
    stepwise("sign", lambda x: x if x.dtype == bool else np.sign(x), dtypes=ALL, avoid=(0,)),
    stepwise("floor", np.floor, avoid=(-2, -1, 0, 1, 2)),
    stepwise("ceil", np.ceil, avoid=(-2, -1, 0, 1, 2)),
    OpInfo("round", samples=round_samples, reference=np.round, refused=not_a_tensor),
    question("isnan", np.isnan),
    question("isinf", np.isinf),
    question("isfinite", np.isfinite),
]

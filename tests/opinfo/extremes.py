"""Samples of maxima and minima, and where they are."""

from __future__ import annotations

import numpy as np

from tests.opinfo.info import FLOATS, OpInfo, refuse, sample
from tests.opinfo.reduction import (
    REDUCED,
    SINGLE,
    axes,
    by_numpy,
    reducing,
    refused_dim,
    refused_dims,
)

FILLED = tuple((shape, dim) for shape, dim in REDUCED if 0 not in shape)
DTYPES = (*FLOATS, "int64", "bool")


def refused_empty(error, whole):
    """What has no element to choose from."""

    def refused(make):
        yield refuse(error, make(2, 0), says="no element")
        yield refuse(IndexError, make(2, 0, 3), 1, says=r"no element.*\(2, 0, 3\)")
        yield from whole(make)

    return refused


def picking(numpy_value, numpy_position):
    """max and min: of all, along a dim with the positions, or of two tensors."""

    def reference(x, dim=None, keepdim=False, *, other=None):
        other = dim if isinstance(dim, np.ndarray) else other
        if other is not None:
            return {np.max: np.maximum, np.min: np.minimum}[numpy_value](x, other)
        if dim is None:
            return numpy_value(x)
        axis = axes(x, dim)
        values = numpy_value(x, axis=axis, keepdims=keepdim)
        return values, numpy_position(x, axis=axis, keepdims=keepdim)

    return reference


def picking_samples(make):
    yield sample(make(), 0)
    yield sample(make(3, 4, distinct=True))
    yield sample(make(2, 0, 3), 2)
    for shape, dim in SINGLE:
        yield sample(make(*shape, distinct=True), dim)
        yield sample(make(*shape, distinct=True), dim=dim, keepdim=True)
    yield sample(make(3, 4), make(3, 1))
    yield sample(make(2), other=make(2))


def position_samples(make):
    yield from reducing(*SINGLE, ((3, 4), None), ((2, 0, 3), 2))(make)
    yield sample(np.zeros((2, 3)), 1)


def torch_position(name):
    """torch has no positions of bools, nor dim=None with keepdim on every version."""

    def find(torch):
        def function(x, dim=None, keepdim=False):
            x = x.to(torch.int64) if x.dtype == torch.bool else x
            return getattr(torch, name)(x, dim, keepdim)

        return function

    return find


INFOS = [
    *(
        OpInfo(
            name,
            samples=reducing(*FILLED, ((2, 0, 3), 2), distinct=True),
            reference=by_numpy(function),
            refused=refused_empty(RuntimeError, refused_dims),
            dtypes=DTYPES,
            torch=lambda torch, name=name: (
                lambda x, dim=(), keepdim=False: getattr(torch, name)(
                    x, () if dim is None else dim, keepdim
                )
            ),
        )
        for name, function in (("amax", np.max), ("amin", np.min))
    ),
    *(
        OpInfo(
            name,
            samples=picking_samples,
            reference=picking(*functions),
            refused=refused_empty(RuntimeError, refused_dim),
            dtypes=DTYPES,
        )
        for name, functions in (("max", (np.max, np.argmax)), ("min", (np.min, np.argmin)))
    ),
    *(
        OpInfo(
            name,
            samples=position_samples,
            reference=by_numpy(function),
            refused=refused_empty(IndexError, refused_dim),
            dtypes=DTYPES,
            result="int64",
            differentiable=False,
            torch=torch_position(name),
        )
        for name, function in (("argmax", np.argmax), ("argmin", np.argmin))
    ),
]

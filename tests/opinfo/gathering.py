"""Samples of reading and adding up by arrays of indices along a dimension."""

from __future__ import annotations

import numpy as np

from tests.opinfo.info import FLOATS, OpInfo, refuse, sample

DTYPES = (*FLOATS, "int64")


def take_samples(make):
    yield sample(make(3, 4), make.indices(2, 4, below=3), 0)
    yield sample(make(3, 4), make.indices(3, 5, below=4), -1)
    yield sample(make(3, 4), make.indices(1, 2, below=4), 1)
    yield sample(make(1, 4), make.indices(3, 2, below=4), dim=1)
    yield sample(make(3, 4), make.indices(5, below=12))
    yield sample(make(3, 4), make.indices(3, 2, below=4, low=-4), 1)
    yield sample(make(3, 4), make.indices(0, 4, below=3), 0)


def take_along_dim(x, indices, dim=None):
    if dim is None:
        return x.reshape(-1)[indices.reshape(-1)]
    x, indices = np.moveaxis(x, dim, -1), np.moveaxis(indices, dim, -1)
    common = np.broadcast_shapes(x.shape[:-1], indices.shape[:-1])
    x, indices = (np.broadcast_to(a, (*common, a.shape[-1])) for a in (x, indices))
    result = np.empty(indices.shape, x.dtype)
    for place in np.ndindex(*common):
        result[place] = x[place][indices[place]]
    return np.moveaxis(result, -1, dim)


def gather_samples(make):
    yield sample(make(3, 4), 0, make.indices(2, 4, below=3))
    yield sample(make(3, 4), 1, make.indices(2, 3, below=4))
    yield sample(make(3, 4), -1, make.indices(3, 6, below=4))
    yield sample(make(2, 3, 4), 1, make.indices(1, 5, 2, below=3))
    yield sample(make(3, 4), 0, make.indices(0, 4, below=3))
    yield sample(make(5), 0, make.indices(7, below=5))


def gather(x, dim, index):
    result = np.empty(index.shape, x.dtype)
    for place in np.ndindex(*index.shape):
        source = list(place)
        source[dim] = index[place]
        result[place] = x[tuple(source)]
    return result


def index_add_samples(make):
    yield sample(make(3), 0, make.indices(5, below=3), make(5))
    yield sample(make(3, 4), 0, make.indices(5, below=3), make(5, 4))
    yield sample(make(2, 3, 4), 1, make.indices(4, below=3), make(2, 4, 4))
    yield sample(make(2, 3), -1, make.indices(2, below=3), make(2, 2), alpha=2)
    yield sample(make(3, 4), 0, make.indices(0, below=3), make(0, 4))
    yield sample(make(3, 0), 0, make.indices(2, below=3), make(2, 0))


def index_add(x, dim, index, source, *, alpha=1):
    result = np.moveaxis(x.copy(), dim, 0)
    for place, part in zip(index, np.moveaxis(source, dim, 0), strict=True):
        result[place] += alpha * part
    return np.moveaxis(result, 0, dim)


def scatter_add_samples(make):
    yield sample(make(3), 0, make.indices(5, below=3), make(5))
    yield sample(make(3, 4), 0, make.indices(5, 4, below=3), make(5, 4))
    yield sample(make(3, 4), 1, make.indices(2, 3, below=4), make(3, 5))
    yield sample(make(2, 3, 4), -2, make.indices(1, 5, 2, below=3), make(1, 5, 2))
    yield sample(make(3, 4), 0, make.indices(0, 4, below=3), make(0, 4))


def scatter_add(x, dim, index, src):
    result = x.copy()
    for place in np.ndindex(*index.shape):
        target = list(place)
        target[dim] = index[place]
        result[tuple(target)] += src[place]
    return result


def masked_fill_samples(make):
    yield sample(make(3, 4), make.mask(3, 4), 0)
    yield sample(make(3, 4), make.mask(3, 1), 1.0)
    yield sample(make(4), make.mask(3, 4), 1)
    yield sample(make(2, 3), make.mask(3), make())
    yield sample(make(0, 3), make.mask(1, 3), 1)
    yield sample(make(), make.mask(), 1)


def masked_fill(x, mask, value):
    return np.where(mask, np.asarray(value).astype(x.dtype), x)


def refused_indices(error, dim_first):
    """Indices and dims that all of them refuse."""

    def refused(make):
        def call(dim, index):
            return (dim, index) if dim_first else (index, dim)

        x = make(3, 4)
        index = make.indices(3, 4, below=3)
        yield refuse(IndexError, x, *call(2, index), says="dim 2")
        yield refuse(error, x, *call(0, make(3, 4)), says="must be integers, got float32")
        yield refuse(error, x, *call(0, make.mask(3, 4)), says="must be integers, got bool")
        yield refuse(TypeError, x, *call(0, 1), says="index must be a tensor")

    return refused


def with_more(refused, more):
    return lambda make: [*refused(make), *more(make)]


INFOS = [
    OpInfo(
        "index_select",
        samples=lambda make: [
            sample(make(3, 4), 0, make.indices(5, below=3)),
            sample(make(3, 4), -1, make.indices(2, below=4)),
            sample(make(2, 3, 4), 1, make.indices(1, below=3)),
            sample(make(3, 4), 0, make.indices(0, below=3)),
            sample(make(3, 4), 0, make.indices(below=3)),
            sample(make(3, 0), 0, make.indices(2, below=3)),
            sample(make(5), 0, make.indices(3, below=5)),
        ],
        reference=lambda x, dim, index: np.take(x, index.reshape(-1), axis=dim),
        refused=with_more(
            refused_indices(IndexError, dim_first=True),
            lambda make: [
                refuse(IndexError, make(3), 0, make.indices(2, 2, below=3), says="vector"),
                refuse(IndexError, make(3, 4), 0, np.array([3]), says=r"3.*\(3, 4\)"),
            ],
        ),
        dtypes=DTYPES,
    ),
    OpInfo(
        "take_along_dim",
        samples=take_samples,
        reference=take_along_dim,
        refused=with_more(
            refused_indices(RuntimeError, dim_first=False),
            lambda make: [
                refuse(RuntimeError, make(3, 4), np.array([0]), 0, says="as many dimensions"),
                refuse(RuntimeError, make(3, 4), np.zeros((2, 2), int), 1, says="not broadcast"),
                refuse(IndexError, make(3, 4), np.full((1, 4), 3), 0, says="3"),
            ],
        ),
        dtypes=DTYPES,
    ),
    OpInfo(
        "gather",
        samples=gather_samples,
        reference=gather,
        refused=with_more(
            refused_indices(RuntimeError, dim_first=True),
            lambda make: [
                refuse(RuntimeError, make(3, 4), 0, np.array([0]), says="as many dimensions"),
                refuse(RuntimeError, make(3, 4), 0, np.zeros((3, 5), int), says="no larger"),
                refuse(IndexError, make(3, 4), 0, np.full((1, 4), 3), says="3"),
            ],
        ),
        dtypes=DTYPES,
    ),
    OpInfo(
        "index_add",
        samples=index_add_samples,
        reference=index_add,
        refused=lambda make: [
            refuse(RuntimeError, make(3), 0, np.array([3]), make(1), says="3 is out of range"),
            refuse(RuntimeError, make(3), 0, np.array([0, 1]), make(1), says=r"\(2,\), got \(1,\)"),
            refuse(RuntimeError, make(3), 0, make(1), make(1), says="integers, got float32"),
            refuse(
                RuntimeError, make(3), 0, np.array([0]), make(1, dtype="float64"), says="float64"
            ),
            refuse(IndexError, make(3), 1, np.array([0]), make(1), says="dim 1"),
        ],
        dtypes=DTYPES,
    ),
    OpInfo(
        "scatter_add",
        samples=scatter_add_samples,
        reference=scatter_add,
        refused=lambda make: [
            refuse(RuntimeError, make(3), 0, np.array([3]), make(1), says="3 is out of range"),
            refuse(RuntimeError, make(3), 0, np.array([0, 1]), make(1), says="src"),
            refuse(RuntimeError, make(3, 4), 0, np.zeros((3, 5), int), make(3, 5), says="input"),
            refuse(RuntimeError, make(3), 0, make(1), make(1), says="integers, got float32"),
            refuse(RuntimeError, make(3), 0, np.array([0]), make(1, dtype="int64"), says="int64"),
            refuse(IndexError, make(3), 1, np.array([0]), make(1), says="dim 1"),
        ],
        dtypes=DTYPES,
        # torch has the gradient only where src has the shape of index.
        torch=lambda torch: (
            lambda x, dim, index, src: torch.scatter_add(
                x, dim, index, src[tuple(map(slice, index.shape))]
            )
        ),
    ),
    OpInfo(
        "masked_fill",
        samples=masked_fill_samples,
        reference=masked_fill,
        refused=lambda make: [
            refuse(RuntimeError, make(3), np.array([0, 1, 0]), 0.0, says="boolean, got int64"),
            refuse(RuntimeError, make(3), make.mask(3), make(1), says=r"no dimensions.*\(1,\)"),
            refuse(TypeError, make(3), make.mask(3), "zero", says="number, got str"),
            refuse(TypeError, make(3), True, 0.0, says="mask must be a tensor"),
        ],
        dtypes=(*DTYPES, "bool"),
    ),
]

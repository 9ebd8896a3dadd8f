"""Samples of reductions and running sums."""

from __future__ import annotations

import numpy as np
import scipy.special

from tests.opinfo.info import ALL, FLOATS, OpInfo, refuse, sample

# (shape, dim): a number, size-1 and empty dimensions, negative dims, several dims.
REDUCED = (
    ((), None),
    ((), 0),
    ((5,), -1),
    ((1,), 0),
    ((3, 4), None),
    ((3, 4), ()),
    ((3, 4), 1),
    ((2, 3, 4), (0, -1)),
    ((2, 3, 4), [1]),
    ((2, 1, 3), 1),
    ((2, 0, 3), 2),
)
EMPTY = (((0,), None), ((2, 0, 3), 1), ((0, 3), (0,)), ((2, 0), None))
# torch takes () for all dims in sum and mean alone, without mistakes.
NAMED = tuple((shape, dim) for shape, dim in REDUCED if dim != ())
SINGLE = tuple((shape, dim) for shape, dim in REDUCED if isinstance(dim, int))


def reducing(*cases, required=False, **options):
    """Samples of f(input, dim, keepdim) for (shape, dim) of the cases."""

    def samples(make):
        for shape, dim in cases:
            if dim is None and required:
                continue
            yield sample(make(*shape, **options), dim)
            yield sample(make(*shape, **options), dim=dim, keepdim=True)
        if not required:
            yield sample(make(2, 3, **options))

    return samples


def axes(x, dim):
    """NumPy's axis for a dim."""
    if dim is None or not np.ndim(x) or (isinstance(dim, (tuple, list)) and not dim):
        return None
    return tuple(dim) if isinstance(dim, list) else dim


def by_numpy(function):
    """A NumPy reduction with PyTorch's names of arguments."""

    def reference(x, dim=None, keepdim=False):
        return function(x, axis=axes(x, dim), keepdims=keepdim)

    return reference


def refused_dims(make):
    """Dims that a reduction of several refuses."""
    x = make(2, 3)
    yield refuse(IndexError, x, 2, says="dim 2.*2 dimensions")
    yield refuse(IndexError, x, (0, -3), says="dim -3")
    yield refuse(RuntimeError, x, (0, -2), says="twice")
    yield refuse(TypeError, x, "rows", says="dim must be an int, got str")
    yield refuse(TypeError, x, 1.0, says="dim must be an int, got float")
    yield refuse(TypeError, [1.0, 2.0], 0, says="input must be a tensor, got list")


def refused_dim(make):
    """A dim that a function of one refuses."""
    x = make(2, 3)
    yield refuse(IndexError, x, 2, says="dim 2.*2 dimensions")
    yield refuse(IndexError, x, -3, says="dim -3")
    yield refuse(TypeError, x, (0, 1), says="dim must be an int, got tuple")
    yield refuse(TypeError, 3.0, 0, says="input must be a tensor, got float")


def refused_floats(make):
    """What a mean or a variance refuses."""
    yield from refused_dims(make)
    yield refuse(RuntimeError, make(3, dtype="int64"), says="must be floats, got int64")
    yield refuse(RuntimeError, make(3, dtype="bool"), 0, says="must be floats, got bool")


def variance_samples(make):
    # Where all elements are equal the root in std has no derivative.
    yield from reducing(*NAMED, *EMPTY, distinct=True)(make)
    yield sample(make(3, 4, distinct=True), 1, correction=0)
    yield sample(make(3, 4, distinct=True), 1, correction=2, keepdim=True)
    yield sample(make(3, 4, distinct=True), (0, 1), False)
    yield sample(make(3, 4, distinct=True), 0, False, True)
    yield sample(make(3, 4, distinct=True), unbiased=False)
    yield sample(make(6, distinct=True), False)


def variance(x, dim=None, unbiased=True, keepdim=False, *, correction=None):
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    correction = int(unbiased) if correction is None else correction
    axis = axes(x, dim)
    count = x.size if axis is None else np.prod([x.shape[d] for d in np.atleast_1d(axis)])
    centred = x - np.mean(x, axis=axis, keepdims=True)
    return np.sum(centred**2, axis=axis, keepdims=keepdim) / np.float64(max(count - correction, 0))


several = reducing(*REDUCED, *EMPTY)


def with_dtypes(samples):
    """The samples, and some that ask for a dtype."""

    def more(make):
        yield from samples(make)
        yield sample(make(2, 3, dtype="int64"), 0, dtype=np.float64)
        yield sample(make(2, 3, dtype="float64"), 1, dtype=np.float64)

    return more


def torch_dtypes(name):
    """A function of torch whose `dtype` may be one of NumPy's."""

    def find(torch):
        def function(*args, dtype=None, **kwargs):
            if dtype is not None:
                kwargs["dtype"] = getattr(torch, np.dtype(dtype).name)
            return getattr(torch, name)(*args, **kwargs)

        return function

    return find


def typed(function):
    """A reference with `dtype`."""

    def reference(x, *args, dtype=None, **kwargs):
        return function(x if dtype is None else x.astype(dtype), *args, **kwargs)

    return reference


def prod_samples(make):
    yield from reducing(*SINGLE, ((3, 4), None), ((), None), ((2, 0, 3), 1), ((0,), None))(make)
    zeros = make(4, 3)
    if zeros.dtype.kind == "f":
        zeros = np.where(np.eye(4, 3, dtype=bool), 0, zeros).astype(zeros.dtype)
        zeros[1] = 0
        yield sample(zeros, 0)
        yield sample(zeros, 1)


def torch_prod(torch):
    """torch.prod takes no dim=None."""

    def function(x, dim=None, keepdim=False, **kwargs):
        if dim is not None:
            return torch_dtypes("prod")(torch)(x, dim, keepdim, **kwargs)
        result = torch_dtypes("prod")(torch)(x, **kwargs)
        return result.reshape((1,) * x.ndim) if keepdim else result

    return function


def logsumexp_samples(make):
    yield from reducing(*NAMED, ((2, 0, 3), 1), required=True)(make)
    large = make(3, 4)
    if large.dtype.kind == "f":
        yield sample(large + large.dtype.type(300), 1)
        yield sample(np.where(np.eye(3, 4, dtype=bool), -np.inf, large).astype(large.dtype), 1)


def logsumexp(x, dim, keepdim=False):
    axis = axes(x, dim)
    if not x.ndim:
        return x
    if not x.size:
        return np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdim))
    return scipy.special.logsumexp(x, axis=axis, keepdims=keepdim)


def cumsum_samples(make):
    for shape, dim in (*SINGLE, ((2, 0, 3), 1)):
        yield sample(make(*shape), dim)


def cumsum(x, dim):
    return np.cumsum(x, axis=dim) if x.ndim else x


INFOS = [
    OpInfo(
        "sum",
        samples=with_dtypes(several),
        reference=typed(by_numpy(np.sum)),
        refused=refused_dims,
        dtypes=ALL,
        result="sum",
        torch=torch_dtypes("sum"),
    ),
    OpInfo(
        "mean",
        samples=with_dtypes(several),
        reference=typed(by_numpy(np.mean)),
        refused=refused_floats,
        torch=torch_dtypes("mean"),
    ),
    OpInfo("var", samples=variance_samples, reference=variance, refused=refused_floats),
    OpInfo(
        "std",
        # Of a single element the variance is 0, unless it is nan.
        samples=lambda make: (s for s in variance_samples(make) if s.args[0].size != 1),
        reference=lambda *args, **kwargs: np.sqrt(variance(*args, **kwargs)),
        refused=refused_floats,
    ),
    OpInfo(
        "prod",
        samples=with_dtypes(prod_samples),
        reference=typed(by_numpy(np.prod)),
        refused=refused_dim,
        dtypes=ALL,
        result="sum",
        torch=torch_prod,
    ),
    OpInfo(
        "logsumexp",
        samples=logsumexp_samples,
        reference=logsumexp,
        refused=refused_dims,
        dtypes=(*FLOATS, "int64"),
        result="float",
    ),
    OpInfo(
        "cumsum",
        samples=with_dtypes(cumsum_samples),
        reference=typed(cumsum),
        refused=refused_dim,
        dtypes=ALL,
        result="sum",
        torch=torch_dtypes("cumsum"),
    ),
    *(
        OpInfo(
            name,
            samples=reducing(*NAMED, *EMPTY),
            reference=by_numpy(function),
            refused=refused_dims,
            dtypes=("float32", "int64", "bool"),
            result="bool",
            differentiable=False,
        )
        for name, function in (("all", np.all), ("any", np.any))
    ),
]

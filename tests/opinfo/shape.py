"""Samples of changes of shape."""

from __future__ import annotations

import numpy as np

from tests.opinfo.info import ALL, OpInfo, refuse, sample


def reshape_samples(make):
    yield sample(make(2, 6), (3, 4))
    yield sample(make(2, 6), (-1,))
    yield sample(make(2, 6), (2, -1, 3))
    yield sample(make(1, 1), ())
    yield sample(make(), (1, 1))
    yield sample(make(0, 3), (3, 0))
    yield sample(make(2, 0), (-1, 2))


def refused_shapes(make):
    yield refuse(RuntimeError, make(2, 6), (5, 2), says=r"\(5, 2\).*12 elements.*\(2, 6\)")
    yield refuse(RuntimeError, make(2, 6), (-1, -1), says="does not fit")
    yield refuse(RuntimeError, make(2, 6), (-1, 5), says="does not fit")
    yield refuse(RuntimeError, make(2, 6), (-2, -6), says="does not fit")
    yield refuse(RuntimeError, make(0), (-1, 0), says="does not fit")
    yield refuse(TypeError, make(2, 6), (3.0, 4), says="integers")
    yield refuse(TypeError, [1, 2], (2,), says="must be a tensor")


def view_samples(make):
    for item in reshape_samples(make):
        yield sample(np.ascontiguousarray(item.args[0]), *item.args[1:])
    yield sample(np.ascontiguousarray(make(3, 4)).T, (4, 1, 3))


def refused_views(make):
    yield from refused_shapes(make)
    yield refuse(RuntimeError, np.ascontiguousarray(make(2, 6)).T, (12,), says="use reshape")


def flatten(x, start_dim=0, end_dim=-1):
    if not x.ndim:
        return x.reshape(1)
    first, last = start_dim % x.ndim, end_dim % x.ndim
    return x.reshape(*x.shape[:first], -1 if x.size else 0, *x.shape[last + 1 :])


def permute_samples(make):
    yield sample(make(2, 3, 4), (2, 0, 1))
    yield sample(make(2, 3, 4), (-1, 1, 0))
    yield sample(make(2, 0, 4), (1, 0, 2))
    yield sample(make(3), (0,))
    yield sample(make(), ())


def refused_permutations(make):
    yield refuse(RuntimeError, make(2, 3), (0, 0), says="each of the 2 dimensions once")
    yield refuse(RuntimeError, make(2, 3), (0,), says="each of the 2 dimensions once")
    yield refuse(IndexError, make(2, 3), (0, 2), says="dim 2")
    yield refuse(TypeError, make(2, 3), "ab", says="integers")


def transpose(x, dim0, dim1):
    return np.swapaxes(x, dim0, dim1) if x.ndim else x


def expand_samples(make):
    yield sample(make(2, 1), (2, 3))
    yield sample(make(3), (2, 3))
    yield sample(make(), (2, 1))
    yield sample(make(), ())
    yield sample(make(1, 0), (4, 0))
    yield sample(make(1, 3), (0, 3))
    yield sample(make(2, 3), (2, 3))


def refused_expansions(make):
    yield refuse(RuntimeError, make(2, 3), (4, 3), says=r"\(2, 3\) does not expand to \(4, 3\)")
    yield refuse(RuntimeError, make(2, 3), (3,), says="does not expand")
    yield refuse(RuntimeError, make(3), (-1, 3), says="does not expand")
    yield refuse(TypeError, make(1), (2.5,), says="integers")


def expand(x, size):
    kept = (None,) * (len(size) - x.ndim) + x.shape
    return np.broadcast_to(x, [k if s == -1 else s for s, k in zip(size, kept, strict=True)])


def squeeze(x, dim=None):
    dims = range(x.ndim) if dim is None else [d % (x.ndim or 1) for d in np.atleast_1d(dim)]
    return np.squeeze(x, tuple(int(d) for d in dims if x.ndim and x.shape[d] == 1))


def flip(x, dims):
    return np.flip(x, tuple(dims)) if x.ndim else x


INFOS = [
    OpInfo(
        "reshape",
        samples=reshape_samples,
        reference=lambda x, shape: np.reshape(x, shape),
        refused=refused_shapes,
        dtypes=ALL,
    ),
    OpInfo(
        "view",
        samples=view_samples,
        reference=lambda x, shape: np.reshape(x, shape),
        refused=refused_views,
        dtypes=ALL,
        # The layout that a view needs is made in the samples, and is lost on the way to torch.
        not_in_torch="torch's copies of the samples lie in memory in another order",
    ),
    OpInfo(
        "flatten",
        samples=lambda make: [
            sample(make(2, 3, 4)),
            sample(make(2, 3, 4), 1),
            sample(make(2, 3, 4), 0, -2),
            sample(make(2, 0, 4), start_dim=1),
            sample(make()),
            sample(make(3), 0, 0),
        ],
        reference=flatten,
        refused=lambda make: [
            refuse(RuntimeError, make(2, 3), 1, 0, says="start_dim 1 comes after end_dim 0"),
            refuse(IndexError, make(2, 3), 2, says="dim 2"),
            refuse(IndexError, make(2, 3), 0, -3, says="dim -3"),
        ],
        dtypes=ALL,
    ),
    OpInfo(
        "permute",
        samples=permute_samples,
        reference=lambda x, dims: np.transpose(x, [d % max(x.ndim, 1) for d in dims]),
        refused=refused_permutations,
        dtypes=ALL,
    ),
    OpInfo(
        "transpose",
        samples=lambda make: [
            sample(make(2, 3), 0, 1),
            sample(make(2, 3, 4), -1, 0),
            sample(make(2, 0), 1, 1),
            sample(make(), 0, -1),
        ],
        reference=transpose,
        refused=lambda make: [
            refuse(IndexError, make(2, 3), 0, 2, says="dim 2"),
            refuse(IndexError, make(), 1, 0, says="dim 1"),
            refuse(TypeError, make(2, 3), 0, None, says="dim must be an int"),
        ],
        dtypes=ALL,
    ),
    OpInfo(
        "movedim",
        samples=lambda make: [
            sample(make(2, 3, 4), 0, -1),
            sample(make(2, 3, 4), (0, 1), (2, 0)),
            sample(make(2, 0, 4), (-1,), (0,)),
        ],
        reference=np.moveaxis,
        refused=lambda make: [
            refuse(RuntimeError, make(2, 3), (0, 0), (0, 1), says="twice"),
            refuse(RuntimeError, make(2, 3), (0, 1), (1, 1), says="twice"),
            refuse(RuntimeError, make(2, 3), (0, 1), (1,), says="number"),
            refuse(IndexError, make(2, 3), 2, 0, says="dim 2"),
        ],
        dtypes=ALL,
    ),
    OpInfo(
        "expand",
        samples=lambda make: [
            *expand_samples(make),
            sample(make(2, 1), (-1, 3)),
            sample(make(1, 3), (2, -1, -1)),
        ],
        reference=expand,
        refused=refused_expansions,
        dtypes=ALL,
        torch="Tensor.expand",
    ),
    OpInfo(
        "broadcast_to",
        samples=expand_samples,
        reference=np.broadcast_to,
        refused=refused_expansions,
        dtypes=ALL,
    ),
    OpInfo(
        "squeeze",
        samples=lambda make: [
            sample(make(1, 3, 1)),
            sample(make(1, 3, 1), 0),
            sample(make(1, 3, 1), 1),
            sample(make(1, 3, 1), (0, -1)),
            sample(make(1, 0, 1), dim=-1),
            sample(make(1)),
            sample(make(), 0),
        ],
        reference=squeeze,
        refused=lambda make: [
            refuse(IndexError, make(1, 3), 2, says="dim 2"),
            refuse(IndexError, make(), 1, says="dim 1"),
            refuse(RuntimeError, make(1, 3), (0, 0), says="twice"),
        ],
        dtypes=ALL,
    ),
    OpInfo(
        "unsqueeze",
        samples=lambda make: [
            sample(make(3), 0),
            sample(make(3), 1),
            sample(make(2, 0), -2),
            sample(make(), 0),
        ],
        reference=np.expand_dims,
        refused=lambda make: [
            refuse(IndexError, make(3), 2, says="dim 2"),
            refuse(IndexError, make(3), -3, says="dim -3"),
        ],
        dtypes=ALL,
    ),
    OpInfo(
        "flip",
        samples=lambda make: [
            sample(make(2, 3), (0,)),
            sample(make(2, 3), (0, -1)),
            sample(make(2, 0), (1,)),
            sample(make(2, 3), ()),
            sample(make(4), [0]),
        ],
        reference=flip,
        refused=lambda make: [
            refuse(IndexError, make(2, 3), (2,), says="dim 2"),
            refuse(RuntimeError, make(2, 3), (0, 0), says="twice"),
        ],
        dtypes=ALL,
    ),
    OpInfo(
        "roll",
        samples=lambda make: [
            sample(make(5), 2),
            sample(make(2, 3), 1),
            sample(make(2, 3), -1, 1),
            sample(make(2, 3), (1, 2), (0, 1)),
            sample(make(4), (1, 2), (0, 0)),
            sample(make(0, 3), 1, 0),
            sample(make(), 2),
        ],
        reference=np.roll,
        refused=lambda make: [
            refuse(RuntimeError, make(2, 3), (1, 2), 0, says="2 shifts for 1 dims"),
            refuse(RuntimeError, make(2, 3), (1, 2), says="one shift"),
            refuse(IndexError, make(2, 3), 1, 2, says="dim 2"),
            refuse(IndexError, make(), 1, 0, says="no dimensions"),
        ],
        dtypes=ALL,
    ),
]

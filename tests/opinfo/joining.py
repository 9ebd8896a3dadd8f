"""Samples of joining tensors: cat, stack, pad."""

from __future__ import annotations

import numpy as np

from tests.opinfo.info import ALL, OpInfo, refuse, sample


def cat_samples(make):
    yield sample([make(2, 3), make(4, 3)])
    yield sample([make(2, 3), make(2, 0), make(2, 1)], 1)
    yield sample((make(2, 1, 3), make(2, 2, 3)), dim=-2)
    yield sample([make(3)])
    yield sample([make(0), make(0)])
    yield sample([make(0), make(2, 3)], 1)


def cat(tensors, dim=0):
    shaped = [x for x in tensors if x.shape != (0,)] or tensors[:1]
    return np.concatenate(shaped, axis=dim)


def refused_cats(make):
    x = make(2, 3)
    yield refuse(RuntimeError, [x, make(2, 4)], says=r"except in dim 0.*\(2, 3\).*\(2, 4\)")
    yield refuse(RuntimeError, [x, make(2)], says="sizes must be equal")
    yield refuse(RuntimeError, [make(), make()], says="stack")
    yield refuse(RuntimeError, [], says="got none")
    yield refuse(IndexError, [x, x], 2, says="dim 2")
    yield refuse(TypeError, x, says="list or tuple")
    yield refuse(TypeError, [x, 3.0], says="tensor 1 must be a tensor, got float")


def pad_samples(make):
    yield sample(make(3), (1, 2))
    yield sample(make(2, 3), (1, 0, 0, 2))
    yield sample(make(2, 3), [2, 1], value=1.0)
    yield sample(make(2, 3), (-1, 2))
    yield sample(make(2, 4), (-1, -2, 1, -1), "constant", 1.0)
    yield sample(make(0, 2), (1, 1))
    yield sample(make(2, 3), ())
    yield sample(make(2, 3, 1), (0, 0, 1, 1))


def pad(x, pad, mode="constant", value=None):
    pairs = [(0, 0)] * (x.ndim - len(pad) // 2) + list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    for dim, (before, after) in enumerate(pairs):
        x = np.delete(x, np.r_[: max(-before, 0)], dim)
        x = np.delete(x, np.r_[x.shape[dim] + min(after, 0) : x.shape[dim]], dim)
    return np.pad(x, [(max(a, 0), max(b, 0)) for a, b in pairs], constant_values=value or 0)


INFOS = [
    *(
        OpInfo(name, samples=cat_samples, reference=cat, refused=refused_cats, dtypes=ALL)
        for name in ("cat", "concat")
    ),
    OpInfo(
        "stack",
        samples=lambda make: [
            sample([make(3), make(3)]),
            sample([make(2, 3), make(2, 3)], -1),
            sample([make(2, 0)], 1),
            sample((make(), make(), make())),
        ],
        reference=lambda tensors, dim=0: np.stack(tensors, axis=dim),
        refused=lambda make: [
            refuse(RuntimeError, [make(2), make(3)], says=r"\(2,\) and tensor 1 \(3,\)"),
            refuse(RuntimeError, [], says="got none"),
            refuse(IndexError, [make(2), make(2)], 2, says="dim 2"),
            refuse(TypeError, make(2, 2), says="list or tuple"),
        ],
        dtypes=ALL,
    ),
    OpInfo(
        "pad",
        samples=pad_samples,
        reference=pad,
        refused=lambda make: [
            refuse(RuntimeError, make(3), (1, 2, 3), says="two sizes"),
            refuse(RuntimeError, make(3), (1, 2, 3, 4), says="up to 1 dimensions"),
            refuse(RuntimeError, make(3), (-2, -2), says=r"more than there is in shape \(3,\)"),
            refuse(NotImplementedError, make(3), (1, 1), "reflect", says="'reflect'"),
        ],
        dtypes=ALL,
        torch="nn.functional.pad",
    ),
]

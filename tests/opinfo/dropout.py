"""Samples of dropout, and the random numbers behind it written out."""

from __future__ import annotations

import numpy as np

from tests.opinfo.info import OpInfo, refuse, sample

LOW = 0xFFFFFFFF


def philox(counter, key):
    """Philox4x32-10 on Python's integers (Salmon et al., "Parallel random numbers", 2011)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        a, b = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1, c2, c3 = (b >> 32) ^ c1 ^ k0, b & LOW, (a >> 32) ^ c3 ^ k1, a & LOW
        k0, k1 = (k0 + 0x9E3779B9) & LOW, (k1 + 0xBB67AE85) & LOW
    return c0, c1, c2, c3


def dropout(x, p=0.5, training=True, *, stream=None, step=0, offset=0):
    """Element e of sample n is kept where word e % 4 of (e // 4, n, step, stream) is high."""
    if not training:
        return x
    result = np.zeros_like(x).reshape(x.shape[0] if x.ndim else 1, -1) if x.size else x.copy()
    values = x.reshape(result.shape)
    for (n, e), value in np.ndenumerate(values) if x.size else ():
        word = philox((e // 4, n + offset, step, stream), (0, 0))[e % 4]
        result[n, e] = value / (1 - p) if word >= p * 2**32 else 0
    return result.reshape(x.shape)


def samples(make):
    yield sample(make(3, 5), 0.5, stream=1)
    yield sample(make(2, 3, 3), p=0.2, stream=2, step=7)
    yield sample(make(2, 4), 0.3, stream=3, step=1, offset=40)
    yield sample(make(9), 0.5, stream=4)
    yield sample(make(), 0.4, stream=5)
    yield sample(make(2, 0, 3), 0.5, stream=1)
    yield sample(make(0, 3), 0.5, stream=1)
    yield sample(make(3, 4), 1.0, stream=1)
    yield sample(make(3, 4), 0.0, stream=1)
    yield sample(make(3, 4), 0.5, False)


def refused(make):
    yield refuse(ValueError, make(3), 1.5, says="between 0 and 1, got 1.5")
    yield refuse(ValueError, make(3), -0.1, says="-0.1")
    yield refuse(RuntimeError, make(3, dtype="int64"), 0.5, says="floats, got int64")
    yield refuse(TypeError, 3.0, says="float")


INFOS = [
    OpInfo(
        "dropout",
        samples=samples,
        reference=dropout,
        refused=refused,
        not_in_torch="its random numbers are others",
    ),
]

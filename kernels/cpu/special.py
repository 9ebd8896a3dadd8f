"""The error function of each element."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from tinynn.kernels.cpu import elementary
from tinynn.kernels.cpu.arrays import Array, uniform
from tinynn.kernels.cpu.compiler import twins


def erf(x: Array, *, out: Array | None = None) -> Any:
    """The error function of each element; see the reference of the same name."""
    if not uniform(x, out):
        return NotImplemented
    out = np.empty_like(x) if out is None else out
    _erf(x.size, x.ravel(), out.ravel())
    return out


@twins(1 << 17, "out")
def _erf(x, out):
    for i in prange(x.shape[0]):
        out[i] = elementary.erf(x[i])

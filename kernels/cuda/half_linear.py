"""Products of few rows with a matrix that is kept in 16-bit floats."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynn.kernels.cuda import few_rows
from tinynn.kernels.cuda.arrays import Array, uniform


def half_linear(x: Array, weight: Array, bias: Array | None, *, out: Array | None = None) -> Any:
    """x weight^T + bias in the dtype of x; see the reference of the same name."""
    if not uniform(x, bias, out) or not uniform(weight) or not x.ndim or not x.size:
        return NotImplemented
    if not few_rows.takes(x, weight):
        return NotImplemented
    if out is None:
        out = np.empty((*x.shape[:-1], weight.shape[0]), x.dtype, like=x)
    few_rows.multiply(x, weight, bias, out)
    return out

"""Products with a matrix that is kept in 16-bit floats."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynn.kernels.cuda import blas, few_rows
from tinynn.kernels.cuda.arrays import Array, rows, uniform

MOST_FEW = 16  # rows for which the matrix is read as it is; for more it is made float32 first


def half_linear(x: Array, weight: Array, bias: Array | None, *, out: Array | None = None) -> Any:
    """x weight^T + bias in the dtype of x; see the reference of the same name."""
    if not uniform(x, bias, out) or not uniform(weight) or not x.ndim or not x.size:
        return NotImplemented
    if out is None:
        out = np.empty((*x.shape[:-1], weight.shape[0]), x.dtype, like=x)
    if few_rows.takes(x, weight, MOST_FEW):
        few_rows.multiply(x, weight, bias, out)
        return out
    if x.dtype != np.float32 or not weight.size or not blas.is_there():
        return NotImplemented
    matrix = out.reshape(-1, weight.shape[0])
    blas.product(x.reshape(rows(x)), weight.astype(x.dtype), matrix)
    if bias is not None:
        np.add(matrix, bias, out=matrix)
    return out

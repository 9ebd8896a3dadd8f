"""Layer normalization and RMS normalization over the last axis, which are one kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynn.kernels.cuda.arrays import Array, uniform, wide
from tinynn.kernels.cuda.rows import (
    column_instantiations,
    launch_on_rows,
    row_instantiations,
    sums_over_rows,
)

_SOURCE = "normalization.cu"
INSTANTIATIONS = [
    *row_instantiations(_SOURCE, "normalize", "normalize_backward"),
    *column_instantiations(_SOURCE, "normalize_backward_columns"),
]


def layer_norm(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    *,
    eps: float = 1e-5,
    out: Array | None = None,
) -> Any:
    """(out, mean, reciprocal standard deviation); see the reference of the same name."""
    if not uniform(x, weight, bias, out) or not x.ndim or not x.size:
        return NotImplemented
    mean = np.empty(x.shape[:-1], wide(x.dtype), like=x)
    out, rstd = _normalize(x, weight, bias, mean, eps, out)
    return out, mean, rstd


def layer_norm_backward(
    g: Array,
    x: Array,
    weight: Array | None,
    mean: Array,
    rstd: Array,
    *,
    out: Array | None = None,
) -> Any:
    """Gradients of x, weight and bias; see the reference of the same name."""
    if not _takes(g, x, weight, mean, rstd, out):
        return NotImplemented
    out, sums = _backward(g, x, weight, mean, rstd, out)
    return out, sums[0], sums[1]


def rms_norm(x: Array, weight: Array | None, *, eps: float = 1e-6, out: Array | None = None) -> Any:
    """(out, reciprocal root mean square); see the reference of the same name."""
    if not uniform(x, weight, out) or not x.ndim or not x.size:
        return NotImplemented
    return _normalize(x, weight, None, None, eps, out)


def rms_norm_backward(
    g: Array, x: Array, weight: Array | None, rstd: Array, *, out: Array | None = None
) -> Any:
    """Gradients of x and weight; see the reference of the same name."""
    if not _takes(g, x, weight, None, rstd, out):
        return NotImplemented
    out, sums = _backward(g, x, weight, None, rstd, out)
    return out, sums[0]


def _takes(
    g: Array, x: Array, weight: Array | None, mean: Array | None, rstd: Array, out: Array | None
) -> bool:
    return (
        uniform(g, x, weight, out)
        and uniform(rstd, mean)
        and rstd.dtype == wide(x.dtype)
        and x.size > 0
    )


def _normalize(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    mean: Array | None,
    eps: float,
    out: Array | None,
) -> tuple[Array, Array]:
    out = np.empty_like(x) if out is None else out
    rstd = np.empty(x.shape[:-1], wide(x.dtype), like=x)
    columns = x.shape[-1]
    launch_on_rows(
        _SOURCE,
        "normalize",
        x,
        (weight, bias, out),
        x,
        weight,
        bias,
        mean,
        rstd,
        out,
        np.int64(x.size // columns),
        np.int32(columns),
        np.float64(eps),
    )
    return out, rstd


def _backward(
    g: Array, x: Array, weight: Array | None, mean: Array | None, rstd: Array, out: Array | None
) -> tuple[Array, Array]:
    out = np.empty_like(x) if out is None else out
    size = np.int64(x.size // x.shape[-1]), np.int32(x.shape[-1])
    launch_on_rows(
        _SOURCE, "normalize_backward", x, (g, weight, out), g, x, weight, mean, rstd, out, *size
    )
    sums = sums_over_rows(
        _SOURCE,
        "normalize_backward_columns",
        2,
        x,
        lambda sums: (g, x, mean, rstd, sums, *size),
    )
    return out, sums

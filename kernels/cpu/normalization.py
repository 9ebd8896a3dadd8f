"""Layer normalization and RMS normalization over the last axis, which are one kernel.

RMS normalization is layer normalization with a mean of 0 and without a bias: where the kernels
below get None as `mean`, they are that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numba.extending import register_jitable

from tinynn.kernels.cpu.arrays import Array, rows, uniform
from tinynn.kernels.cpu.compiler import REORDER, twins
from tinynn.kernels.cpu.elementary import like
from tinynn.kernels.cpu.reductions import total

_BLOCK = 64  # rows whose gradients of the weight are summed one after the other, see linear.py
_GRAIN = 1 << 19


def layer_norm(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    *,
    eps: float = 1e-5,
    out: Array | None = None,
) -> Any:
    """(out, mean, reciprocal standard deviation); see the reference of the same name."""
    if not uniform(x, weight, bias, out) or not x.ndim:
        return NotImplemented
    out = np.empty_like(x) if out is None else out
    mean, rstd = (np.empty(x.shape[:-1], x.dtype, like=x) for _ in range(2))
    _normalize(x.size, rows(x), weight, bias, mean.ravel(), rstd.ravel(), eps, rows(out))
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
    if not uniform(g, x, weight, mean, rstd, out):
        return NotImplemented
    out = np.empty_like(x) if out is None else out
    sums = _room_for_sums(x)
    _backward(x.size, rows(g), rows(x), weight, mean.ravel(), rstd.ravel(), rows(out), sums)
    return out, sums[0, 0], sums[0, 1]


def rms_norm(x: Array, weight: Array | None, *, eps: float = 1e-6, out: Array | None = None) -> Any:
    """(out, reciprocal root mean square); see the reference of the same name."""
    if not uniform(x, weight, out) or not x.ndim:
        return NotImplemented
    out = np.empty_like(x) if out is None else out
    rstd = np.empty(x.shape[:-1], x.dtype, like=x)
    _normalize(x.size, rows(x), weight, None, None, rstd.ravel(), eps, rows(out))
    return out, rstd


def rms_norm_backward(
    g: Array, x: Array, weight: Array | None, rstd: Array, *, out: Array | None = None
) -> Any:
    """Gradients of x and weight; see the reference of the same name."""
    if not uniform(g, x, weight, rstd, out):
        return NotImplemented
    out = np.empty_like(x) if out is None else out
    sums = _room_for_sums(x)
    _backward(x.size, rows(g), rows(x), weight, None, rstd.ravel(), rows(out), sums)
    return out, sums[0, 0]


def _room_for_sums(x: Array) -> Array:
    """[blocks of rows, weight or bias, columns]"""
    columns = x.shape[-1]
    blocks = -(-x.size // (columns * _BLOCK)) if x.size else 1
    return np.empty((blocks, 2, columns), x.dtype, like=x)


@register_jitable(fastmath=REORDER, forceinline=True)
def _mean_square(x, mean):
    result = like(x, 0)
    for j in range(x.shape[0]):
        centred = x[j] - mean
        result += centred * centred
    return result / like(x, x.shape[0])


@register_jitable(fastmath=REORDER, forceinline=True)
def _mean_and_correlation(g, x, weight, mean, rstd):
    """The means of the scaled gradient, and of its product with the normalized row."""
    sum_of_g, sum_of_products = like(x, 0), like(x, 0)
    for j in range(x.shape[0]):
        scaled = g[j] if weight is None else g[j] * weight[j]
        sum_of_g += scaled
        sum_of_products += scaled * (x[j] - mean)
    count = like(x, x.shape[0])
    return sum_of_g / count, sum_of_products * rstd / count


@twins(_GRAIN, "mean", "rstd", "out")
def _normalize(x, weight, bias, mean, rstd, eps, out):
    count, columns = x.shape
    for i in prange(count):
        centre = like(x, 0)
        if mean is not None:
            centre = total(x[i]) / like(x, columns)
            mean[i] = centre
        scale = like(x, 1) / np.sqrt(_mean_square(x[i], centre) + like(x, eps))
        rstd[i] = scale
        for j in range(columns):
            value = (x[i, j] - centre) * scale
            if weight is not None:
                value *= weight[j]
            if bias is not None:
                value += bias[j]
            out[i, j] = value


@twins(_GRAIN, "gradient", "sums")
def _backward(g, x, weight, mean, rstd, gradient, sums):
    count, columns = x.shape
    for block in prange(sums.shape[0]):
        for j in range(columns):
            sums[block, 0, j] = 0
            sums[block, 1, j] = 0
        for i in range(block * _BLOCK, min((block + 1) * _BLOCK, count)):
            centre = like(x, 0)
            if mean is not None:
                centre = mean[i]
            scale = rstd[i]
            average, correlation = _mean_and_correlation(g[i], x[i], weight, centre, scale)
            if mean is None:
                average = like(x, 0)
            for j in range(columns):
                normalized = (x[i, j] - centre) * scale
                scaled = g[i, j] if weight is None else g[i, j] * weight[j]
                gradient[i, j] = scale * (scaled - average - normalized * correlation)
                sums[block, 0, j] += g[i, j] * normalized
                sums[block, 1, j] += g[i, j]
    for block in range(1, sums.shape[0]):
        for j in range(columns):
            sums[0, 0, j] += sums[block, 0, j]
            sums[0, 1, j] += sums[block, 1, j]

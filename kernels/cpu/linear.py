"""A linear layer and its activation in one: a matrix product and one pass over its result."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import prange

from tinynn.kernels.cpu.activations import ACTIVATIONS, SAVES_INPUT
from tinynn.kernels.cpu.arrays import Array, rows, uniform
from tinynn.kernels.cpu.compiler import Twins, twins

# Rows whose gradients are summed one after the other before the sums are added: so a column sum is
# the same for any number of threads, and rounding grows with the number of blocks, not of rows.
_BLOCK = 64
_GRAIN = 1 << 19


def linear_activation(
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    activation: str | None,
    parameter: float = 0.0,
    out: Array | None = None,
) -> Any:
    """activation(x weight^T + bias); see the reference of the same name."""
    if not uniform(x, weight, bias, out):
        return NotImplemented
    shape = (*x.shape[:-1], weight.shape[0])
    if out is None:
        out = np.empty(shape, x.dtype, like=x)
    product = rows(out)
    np.dot(rows(x), weight.T, out=product)
    if activation in SAVES_INPUT:
        pre = np.empty(shape, x.dtype, like=x)
        _finish_saving(activation)(out.size, product, bias, rows(pre), parameter)
        return out, pre
    if bias is not None or activation is not None:
        _finish(activation)(out.size, product, bias, parameter)
    return out


def activation_backward(
    g: Array,
    saved: Array,
    *,
    activation: str | None,
    parameter: float = 0.0,
    out: Array | None = None,
) -> Any:
    """Gradients before the activation and, summed over rows, of the bias; see the reference."""
    if not uniform(g, saved, out):
        return NotImplemented
    gradient = np.empty(g.shape, g.dtype, like=g) if out is None else out
    matrix = rows(g)
    blocks = max(-(-matrix.shape[0] // _BLOCK), 1)
    sums = np.empty((blocks - 1, matrix.shape[1]), g.dtype, like=g)
    total = np.empty(matrix.shape[1], g.dtype, like=g)
    _backward(activation)(g.size, matrix, rows(saved), rows(gradient), sums, total, parameter)
    return gradient, total


@cache
def _finish(activation: str | None) -> Twins:
    forward = ACTIVATIONS[activation][0]

    @twins(_GRAIN, "out")
    def add_bias_and_activate(out, bias, parameter):
        for i in prange(out.shape[0]):
            for j in range(out.shape[1]):
                x = out[i, j]
                if bias is not None:
                    x += bias[j]
                out[i, j] = forward(x, parameter)

    return add_bias_and_activate


@cache
def _finish_saving(activation: str | None) -> Twins:
    forward = ACTIVATIONS[activation][0]

    @twins(_GRAIN, "out", "pre")
    def add_bias_save_and_activate(out, bias, pre, parameter):
        for i in prange(out.shape[0]):
            for j in range(out.shape[1]):
                x = out[i, j]
                if bias is not None:
                    x += bias[j]
                pre[i, j] = x
                out[i, j] = forward(x, parameter)

    return add_bias_save_and_activate


@cache
def _backward(activation: str | None) -> Twins:
    backward = ACTIVATIONS[activation][1]

    @twins(_GRAIN, "gradient", "sums", "total")
    def multiply_and_sum(g, saved, gradient, sums, total, parameter):
        count, columns = g.shape
        for block in prange(sums.shape[0] + 1):
            own = total if block == 0 else sums[block - 1]
            for j in range(columns):
                own[j] = 0
            for i in range(block * _BLOCK, min((block + 1) * _BLOCK, count)):
                for j in range(columns):
                    value = backward(g[i, j], saved[i, j], parameter)
                    gradient[i, j] = value
                    own[j] += value
        for block in range(sums.shape[0]):
            for j in range(columns):
                total[j] += sums[block, j]

    return multiply_and_sum

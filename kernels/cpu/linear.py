"""A linear layer and its activation in one: a matrix product and one pass over its result."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import prange
from numba.extending import register_jitable

from tinynn.kernels.cpu.activations import ACTIVATIONS, SAVES_INPUT
from tinynn.kernels.cpu.arrays import Array, rows, uniform
from tinynn.kernels.cpu.compiler import CONTRACT, Twins, twins
from tinynn.kernels.cpu.tiles import ROWS, transpose
from tinynn.kernels.cpu.vectors import copy, lanes

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
    pre = np.empty(shape, x.dtype, like=x) if activation in SAVES_INPUT else None
    inputs, result = rows(x), rows(out)
    before = None if pre is None else rows(pre)
    if _is_turned(inputs.shape[0], *weight.shape):
        turned = np.empty(result.shape[::-1], x.dtype, like=x)
        np.dot(weight, inputs.T, out=turned)
        _finish_turned(activation)(out.size, turned, bias, result, before, parameter)
    else:
        np.dot(inputs, weight.T, out=result)
        if bias is not None or activation is not None:
            _finish(activation)(out.size, result, bias, before, parameter)
    return out if pre is None else (out, pre)


def _is_turned(count: int, outputs: int, inputs: int) -> bool:
    """Whether the product is computed as weight x^T, and turned in the pass that adds the bias.

    With the larger matrix on the left OpenBLAS is up to twice as fast for few rows; these bounds
    are where that was measured to be worth the turning.
    """
    return 4 < count <= 128 and outputs >= 2 * count and count * inputs * outputs >= 300_000


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
def _finish_row(activation: str | None) -> Any:
    forward = ACTIVATIONS[activation][0]

    @register_jitable(fastmath=CONTRACT, forceinline=True)
    def finish_row(out, i, bias, pre, parameter):
        for j in range(out.shape[1]):
            x = out[i, j]
            if bias is not None:
                x += bias[j]
            if pre is not None:
                pre[i, j] = x
            out[i, j] = forward(x, parameter)

    return finish_row


@cache
def _finish(activation: str | None) -> Twins:
    finish_row = _finish_row(activation)

    @twins(_GRAIN, "out", "pre")
    def add_bias_and_activate(out, bias, pre, parameter):
        for i in prange(out.shape[0]):
            finish_row(out, i, bias, pre, parameter)

    return add_bias_and_activate


@cache
def _finish_turned(activation: str | None) -> Twins:
    """The same for a product that lies with its columns as rows, a strip of rows at a time."""
    finish_row = _finish_row(activation)

    @twins(_GRAIN, "out", "pre")
    def turn_add_bias_and_activate(turned, bias, out, pre, parameter):
        columns, count = turned.shape
        lane = lanes(turned)
        for strip in prange(-(-count // lane)):
            tile = np.empty(ROWS * lane, turned.dtype)
            first, whole = strip * lane, 0
            last = min(first + lane, count)
            if first + lane == last:
                whole = columns - columns % ROWS
            for i in range(first, last):
                for j in range(whole, columns):
                    out[i, j] = turned[j, i]
            for j in range(0, whole, ROWS):
                transpose(turned, j * count + first, count, tile)
                for i in range(lane):
                    copy(tile, i * ROWS, out, (first + i) * columns + j, ROWS)
            for i in range(first, last):
                finish_row(out, i, bias, pre, parameter)

    return turn_add_bias_and_activate


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

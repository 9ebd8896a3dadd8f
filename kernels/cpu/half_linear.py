"""Products of float32 with a matrix of 16-bit floats, which is read as it is stored.

A few rows of x are multiplied with numbers that are made float32 in registers, so that half the
memory of a float32 matrix is read. For many rows a panel of the matrix is made float32 in a cache,
and BLAS multiplies it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from tinynn.kernels.cpu.arrays import Array, contiguous, rows, stored
from tinynn.kernels.cpu.compiler import twins
from tinynn.kernels.cpu.few_rows import LANES, registers, steps
from tinynn.kernels.cpu.narrowing import widen
from tinynn.kernels.cpu.vectors import address, load_floats, multiply_add, shuffle

_GRAIN = 1 << 21  # numbers, for each four rows of x; see `quantized`
_FEW = 16  # rows of x up to which BLAS is slower
_PANEL = 256  # rows of the matrix, some hundred kilobytes in float32


def half_linear(x: Array, weight: Array, bias: Array | None, *, out: Array | None = None) -> Any:
    """x weight^T + bias for a weight of 16-bit floats; see the reference of the same name."""
    if x.dtype != np.float32 or weight.dtype.itemsize != 2 or not weight.flags.c_contiguous:
        return NotImplemented
    if out is None:
        out = np.empty((*x.shape[:-1], weight.shape[0]), np.float32, like=x)
    elif not out.flags.c_contiguous:
        return NotImplemented
    matrix, result, numbers = rows(contiguous(x)), rows(out), stored(weight)
    count, columns = matrix.shape
    if count <= _FEW and columns % LANES == 0:
        _multiply(weight.size * -(-count // 4), matrix, numbers, bias, result)
        return out
    panel = np.empty((min(_PANEL, weight.shape[0]), columns), np.float32, like=x)
    for first in range(0, weight.shape[0], _PANEL):
        part = numbers[first : first + _PANEL]
        wide = panel[: part.shape[0]]
        _widen(part.size, part, wide)
        np.matmul(matrix, wide.T, out=result[:, first : first + _PANEL])
    if bias is not None:
        np.add(result, bias, out=result)
    return out


@twins(_GRAIN, "out")
def _widen(numbers, out):
    for i in prange(numbers.shape[0]):
        for j in range(numbers.shape[1]):
            out[i, j] = widen(numbers[i, j])


@cache
def row_dots(rows: int) -> Any:
    """The function row_dots(x, i, pitch, matrix, j, width, bias, t, out, o, out_pitch):

    out[o + r * out_pitch] = bias[t] + sum over c < width of x[i + r * pitch + c] * matrix[j + c]

    for r < rows. x, the bias, which may be None, and out are float32; width counts whole vectors.
    So a matrix is read from its first byte to its last, which is how memory is fastest. The order
    of a sum does not depend on `rows`.
    """

    @intrinsic
    def function(typing, x, i, pitch, matrix, j, width, bias, t, out, o, out_pitch):
        def generate(context, builder, signature, arguments):
            x_, i, pitch, matrix_, j, width, bias_, t, out_, o, out_pitch = arguments
            sums = registers(builder, 2 * rows, ir.FloatType())
            x_rows = steps(builder, i, pitch, rows)

            def add_products(c, half):
                right = load_floats(context, builder, matrix, matrix_, builder.add(j, c))
                for r, row in enumerate(x_rows):
                    left = load_floats(context, builder, x, x_, builder.add(row, c))
                    total = builder.load(sums[2 * r + half])
                    builder.store(multiply_add(builder, left, right, total), sums[2 * r + half])

            zero, lanes = ir.Constant(i.type, 0), ir.Constant(i.type, LANES)
            odd = builder.and_(width, lanes)
            even, step = builder.sub(width, odd), ir.Constant(i.type, 2 * LANES)
            with cgutils.for_range_slice(builder, zero, even, step, i.type) as (c, _):
                add_products(c, 0)
                add_products(builder.add(c, lanes), 1)
            with builder.if_then(builder.icmp_signed("!=", odd, zero), likely=False):
                add_products(even, 0)
            for r, place in enumerate(steps(builder, o, out_pitch, rows)):
                total = builder.fadd(*(builder.load(sums[2 * r + half]) for half in range(2)))
                total = _sum(builder, total)
                if bias != types.none:
                    term = builder.load(address(context, builder, bias, bias_, t))
                    total = builder.fadd(total, term)
                builder.store(total, address(context, builder, out, out_, place))
            return context.get_dummy_value()

        n = types.intp
        return types.void(x, n, n, matrix, n, n, bias, n, out, n, n), generate

    return function


def _sum(builder: Any, vector: Any) -> Any:
    """The sum of a vector's numbers, by halves."""
    while (count := vector.type.count) > 1:
        low = shuffle(builder, vector, vector, range(count // 2))
        vector = builder.fadd(low, shuffle(builder, vector, vector, range(count // 2, count)))
    return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))


_one, _two, _four = row_dots(1), row_dots(2), row_dots(4)


@twins(_GRAIN, "out")
def _multiply(x, weight, bias, out):
    count, outputs = out.shape
    width = x.shape[1]
    for t in prange(outputs):
        r = 0
        while r < count:
            i, j, o = r * width, t * width, r * outputs + t
            if count - r >= 4:
                _four(x, i, width, weight, j, width, bias, t, out, o, outputs)
                r += 4
            elif count - r >= 2:
                _two(x, i, width, weight, j, width, bias, t, out, o, outputs)
                r += 2
            else:
                _one(x, i, width, weight, j, width, bias, t, out, o, outputs)
                r += 1

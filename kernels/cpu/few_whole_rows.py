"""Products of a few rows of whole numbers with a matrix of int8, summed as whole numbers.

As in `few_rows`, a matrix is read once and each of its vectors serves all rows. The rows are int16:
two neighbouring products of 16 bits make one number of 32, in one instruction of many processors
(vpdpwssd, vpmaddwd), where floats would need two, and two more to make them of the matrix.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from tinynn.kernels.cpu.compiler import CONTRACT
from tinynn.kernels.cpu.elementary import ROUNDER, f32
from tinynn.kernels.cpu.few_rows import LANES, columns_for, deal, registers, steps, totals
from tinynn.kernels.cpu.reductions import magnitude
from tinynn.kernels.cpu.vectors import address, multiply_add, shuffle, spread

PAIRS = 2 * LANES  # numbers of 16 bits in a vector

_ip = types.intp
_SHORT, _INT = ir.IntType(16), ir.IntType(32)
_SHORTS, _FLOATS = ir.VectorType(_SHORT, PAIRS), ir.VectorType(ir.FloatType(), LANES)
_LARGEST = f32(32767)


@cache
def whole_dots(rows: int) -> Any:
    """The function whole_dots(x, i, x_pitch, matrix, j, matrix_pitch, width, out, o, out_pitch):

    out[o + r * out_pitch + t] = sum over c < width of
        x[i + r * x_pitch + c] * matrix[j + t * matrix_pitch + c]

    for r < rows and t < columns_for(rows). x is int16, matrix int8 and out float32; width is a
    multiple of LANES. Indices are as if the arrays were flat. Sums must be below 2^31.
    """
    columns = columns_for(rows)

    @intrinsic
    def function(typing, x, i, x_pitch, matrix, j, matrix_pitch, width, out, o, out_pitch):
        def generate(context, builder, signature, arguments):
            x_, i, x_pitch, matrix_, j, matrix_pitch, width, out_, o, out_pitch = arguments
            sums = registers(builder, rows * columns, _INT)
            x_rows = steps(builder, i, x_pitch, rows)
            matrix_rows = steps(builder, j, matrix_pitch, columns)

            def add_products(c, count):
                left = [
                    _shorts(context, builder, x, x_, builder.add(row, c), count) for row in x_rows
                ]
                for t, row in enumerate(matrix_rows):
                    place = builder.add(row, c)
                    right = _shorts(context, builder, matrix, matrix_, place, count)
                    for r in range(rows):
                        _add_pairs(builder, sums[r * columns + t], left[r], right)

            zero, step = ir.Constant(i.type, 0), ir.Constant(i.type, PAIRS)
            half = builder.and_(width, ir.Constant(i.type, LANES))
            whole = builder.sub(width, half)
            with cgutils.for_range_slice(builder, zero, whole, step, i.type) as (c, _):
                add_products(c, PAIRS)
            with builder.if_then(builder.icmp_signed("!=", half, zero), likely=False):
                add_products(whole, LANES)
            found = totals(builder, [builder.load(register) for register in sums], builder.add)
            found = builder.sitofp(found, _FLOATS)
            deal(context, builder, found, out, out_, steps(builder, o, out_pitch, rows))
            return context.get_dummy_value()

        return types.void(x, _ip, _ip, matrix, _ip, _ip, _ip, out, _ip, _ip), generate

    return function


@cache
def add_whole_mixture(rows: int, vectors: int) -> Any:
    """The function add_whole_mixture(x, i, x_pitch, factors, f, matrix, j, matrix_pitch, count,
    out, o, out_pitch):

    out[o + r * out_pitch + c] += factors[f + r] * sum over t < count of
        x[i + r * x_pitch + t] * matrix[j + t * matrix_pitch + c]

    for r < rows and c < vectors * LANES. x is int16, matrix int8, factors and out are float32;
    count is even. Sums of products must be below 2^31.
    """

    @intrinsic
    def function(
        typing, x, i, x_pitch, factors, f, matrix, j, matrix_pitch, count, out, o, out_pitch
    ):
        def generate(context, builder, signature, arguments):
            x_, i, x_pitch, factors_, f, matrix_, j, pitch, count, out_, o, out_pitch = arguments
            sums = registers(builder, rows * vectors, _INT)
            x_rows = steps(builder, i, x_pitch, rows)
            zero, two = ir.Constant(i.type, 0), ir.Constant(i.type, 2)
            with cgutils.for_range_slice(builder, zero, count, two, i.type) as (t, _):
                first = builder.add(j, builder.mul(pitch, t))
                right = []
                for c in range(0, vectors, 2):
                    lanes = min(vectors - c, 2) * LANES
                    places = steps(
                        builder, builder.add(first, ir.Constant(i.type, c * LANES)), pitch, 2
                    )
                    pair = [
                        _shorts(context, builder, matrix, matrix_, place, lanes) for place in places
                    ]
                    turns = [lane for k in range(lanes) for lane in (k, PAIRS + k)]
                    parts = [turns[k : k + PAIRS] for k in range(0, 2 * lanes, PAIRS)]
                    right += [shuffle(builder, *pair, part) for part in parts]
                for r in range(rows):
                    place = address(context, builder, x, x_, builder.add(x_rows[r], t))
                    both = builder.load(builder.bitcast(place, _INT.as_pointer()), align=2)
                    left = builder.bitcast(spread(builder, both, LANES), _SHORTS)
                    for c in range(vectors):
                        _add_pairs(builder, sums[r * vectors + c], left, right[c])
            for r, row in enumerate(steps(builder, o, out_pitch, rows)):
                place = builder.add(f, ir.Constant(f.type, r))
                factor = builder.load(address(context, builder, factors, factors_, place))
                factor = spread(builder, factor, LANES)
                for c in range(vectors):
                    place = builder.add(row, ir.Constant(i.type, c * LANES))
                    target = address(context, builder, out, out_, place)
                    target = builder.bitcast(target, _FLOATS.as_pointer())
                    found = builder.sitofp(builder.load(sums[r * vectors + c]), _FLOATS)
                    total = multiply_add(builder, factor, found, builder.load(target, align=4))
                    builder.store(total, target, align=4)
            return context.get_dummy_value()

        arguments = (x, _ip, _ip, factors, _ip, matrix, _ip, _ip, _ip, out, _ip, _ip)
        return types.void(*arguments), generate

    return function


def round_to(x, out):
    """out = rint(x / scale), where out is int16, and the scale, max |x| / 32767, for a row x of
    float32; where out is float32, out = x and the scale is 1."""


@overload(round_to, jit_options={"fastmath": CONTRACT})
def _round_to(x, out):
    if out.dtype == types.float32:

        def keep(x, out):
            out[:] = x
            return f32(1)

        return keep

    def quantize(x, out):
        top = magnitude(x)
        if top == f32(0):
            out[:] = 0
            return top
        factor = _LARGEST / top
        for t in range(x.size):
            out[t] = np.int16((x[t] * factor + ROUNDER) - ROUNDER)
        return top / _LARGEST

    return quantize


def _shorts(context: Any, builder: Any, array: Any, data: Any, index: Any, count: int) -> Any:
    """A vector of int16, from an array of them or of int8; zeros behind count."""
    place = address(context, builder, array, data, index)
    size = array.dtype.bitwidth
    vector = ir.VectorType(ir.IntType(size), count)
    loaded = builder.load(builder.bitcast(place, vector.as_pointer()), align=size // 8)
    if size == 8:
        loaded = builder.sext(loaded, ir.VectorType(_SHORT, count))
    if count == PAIRS:
        return loaded
    return shuffle(
        builder, loaded, ir.Constant(loaded.type, None), [*range(count), *[count] * (PAIRS - count)]
    )


def _add_pairs(builder: Any, register: Any, left: Any, right: Any) -> None:
    """register[k] += left[2k] right[2k] + left[2k + 1] right[2k + 1]."""
    wide = ir.VectorType(_INT, PAIRS)
    products = builder.mul(builder.sext(left, wide), builder.sext(right, wide))
    even = shuffle(builder, products, products, range(0, PAIRS, 2))
    odd = shuffle(builder, products, products, range(1, PAIRS, 2))
    builder.store(builder.add(builder.load(register), builder.add(even, odd)), register)

"""Products with a quantized matrix, of one row or of many, and rows of it as floats.

The matrix is read as it is stored; see `quantized_products`. The rows of x are rounded to int8
once, in groups of 32, and taken eight at a time, of which the last may be zeros. So the result for
a row is the same in any company.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange, types
from numba.extending import overload, register_jitable

from tinynn.kernels.cpu.arrays import Array, rows
from tinynn.kernels.cpu.compiler import CONTRACT, twins
from tinynn.kernels.cpu.elementary import ROUNDER, f32, i32
from tinynn.kernels.cpu.quantized_products import (
    FORMS,
    GROUP,
    ROWS,
    ZEROS,
    add_group,
    finish,
    no_totals,
)

# Bytes of a block -> whether two codes share a byte and whether there are offsets, as True or None:
# code is compiled for what is None and what is not.
_FLAGS = {
    size: (True if form.bits == 4 else None, True if form.halves == 2 else None)
    for size, form in FORMS.items()
}
_F32 = np.dtype(np.float32)
# Bytes of the matrix for each eight rows of x. A few megabytes come to one thread as soon as to
# two: both wait for memory, and two for the launch.
_GRAIN = 1 << 22
_TOGETHER = 8  # rows of x that go through a tile together
_LARGEST, _SIZE_BITS = f32(127), i32(0x7FFFFFFF)
_ROUNDER_BITS = i32(0x4B400000)  # of ROUNDER; a whole number that is added to it is added to them
_SMALLEST = f32(2.0**-100)


def quantized_linear(
    x: Array,
    blocks: Array,
    row_scales: Array | None,
    bias: Array | None,
    *,
    outputs: int,
    activations: str = "int8",
    out: Array | None = None,
) -> Any:
    """x w^T + bias for a quantized w; see the reference of the same name."""
    if x.dtype != _F32 or not x.flags.c_contiguous:
        return NotImplemented
    if out is None:
        out = np.empty((*x.shape[:-1], outputs), _F32, like=x)
    elif out.dtype != _F32 or not out.flags.c_contiguous:
        return NotImplemented
    matrix, result = rows(x), rows(out)
    count, columns = matrix.shape
    width = blocks.shape[1] * GROUP
    if columns != width:
        matrix = np.zeros((count, width), _F32, like=x)
        matrix[:, :columns] = rows(x)
    paired, shifted = _FLAGS[blocks.shape[2]]
    whole = None if activations == "float32" else True
    work = blocks.size * -(-count // _TOGETHER)
    _multiply(work, matrix, blocks, paired, shifted, row_scales, bias, whole, result)
    return out


@register_jitable
def _together(count):
    """How many rows of x are taken at once where so many are left."""
    return 8 if count > 4 else 4 if count > 2 else count


@register_jitable
def _place(t, g, count, groups):
    """Where row t of `count` has its numbers of group g: beside those of the rows taken with it."""
    first = t - t % _TOGETHER
    return first * groups + g * _together(count - first) + t - first


def _arranged(x, whole, paired, shifted):
    """(numbers, factors, sums) of x [count, groups * 32] for `add_group`: float32 as they are where
    `whole` is None, else rounded to int8."""


@overload(_arranged, jit_options={"fastmath": CONTRACT})
def _typed_arranged(x, whole, paired, shifted):
    if whole == types.none:
        return lambda x, whole, paired, shifted: _copied(x)
    zero = i32(ZEROS[paired == types.none])
    if shifted == types.none:
        dtype, term = np.int32, register_jitable(lambda factor, total: i32(-zero * total))
    else:
        dtype, term = np.float32, register_jitable(lambda factor, total: factor * f32(total))

    def implementation(x, whole, paired, shifted):
        count, groups = x.shape[0], x.shape[1] // GROUP
        size = _size(count, groups)
        numbers, factors = np.zeros(size * GROUP, np.int8), np.zeros(size, np.float32)
        sums = np.zeros(size, dtype)
        for t in range(count):
            for g in range(groups):
                place = _place(t, g, count, groups)
                group = x[t, g * GROUP : (g + 1) * GROUP]
                factor, total = _round(group, numbers[place * GROUP : (place + 1) * GROUP])
                factors[place], sums[place] = factor, term(factor, total)
        return numbers, factors, sums

    return implementation


@register_jitable(fastmath=CONTRACT)
def _round(group, numbers):
    """Rounds the numbers of a group; returns (factor, the sum of what they are rounded to)."""
    top = i32(0)
    for k in range(GROUP):
        top = max(top, i32(f32(group[k]).view(i32) & _SIZE_BITS))
    largest = i32(top).view(f32)
    total = i32(0)
    if largest < _SMALLEST:
        return f32(0), total
    factor = _LARGEST / largest
    for k in range(GROUP):
        shifted = group[k] * factor + ROUNDER
        number = i32(f32(shifted).view(i32) - _ROUNDER_BITS)
        numbers[k] = np.int8(number)
        total += number
    # NaN where x is NaN or infinite: then the whole numbers mean nothing.
    return largest / _LARGEST + (largest - largest), total


@register_jitable
def _copied(x):
    count, groups = x.shape[0], x.shape[1] // GROUP
    size = _size(count, groups)
    numbers, sums = np.zeros(size * GROUP, np.float32), np.zeros(size, np.float32)
    for t in range(count):
        for g in range(groups):
            place = _place(t, g, count, groups)
            total = f32(0)
            for k in range(GROUP):
                number = x[t, g * GROUP + k]
                numbers[place * GROUP + k] = number
                total += number
            sums[place] = total
    return numbers, None, sums


@register_jitable
def _size(count, groups):
    first = count - count % _TOGETHER
    return (first + _together(count - first)) * groups


def _products(rows: int) -> Any:
    zeros, add, end = no_totals(rows), add_group(rows), finish(rows)

    @register_jitable
    def multiply(blocks, paired, shifted, scales, tile, arranged, first, bias, out):
        numbers, factors, sums = arranged
        _, groups, size = blocks.shape
        c, f = tile * groups * size, first * groups
        totals = zeros()
        for _ in range(groups):
            i = f * GROUP
            totals = add(totals, blocks, c, paired, shifted, scales, numbers, i, factors, sums, f)
            c, f = c + size, f + rows
        count, width = out.shape
        row = tile * ROWS
        place = first * width + row
        end(totals, scales, bias, row, out, place, width, count - first, width - row)

    return multiply


_one, _two, _four, _eight = (_products(rows) for rows in (1, 2, 4, 8))


@twins(_GRAIN, "out")
def _multiply(x, blocks, paired, shifted, scales, bias, whole, out):
    arranged = _arranged(x, whole, paired, shifted)
    count = x.shape[0]
    for tile in prange(blocks.shape[0]):
        for first in range(0, count, _TOGETHER):
            rows = _together(min(count - first, _TOGETHER))
            if rows == 8:
                _eight(blocks, paired, shifted, scales, tile, arranged, first, bias, out)
            elif rows == 4:
                _four(blocks, paired, shifted, scales, tile, arranged, first, bias, out)
            elif rows == 2:
                _two(blocks, paired, shifted, scales, tile, arranged, first, bias, out)
            else:
                _one(blocks, paired, shifted, scales, tile, arranged, first, bias, out)

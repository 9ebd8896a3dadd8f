"""Products of a few rows with a matrix that is as long as memory is slow.

The query of one token meets a cache of thousands of keys: a product of one row, or of the few that
share the keys, with a matrix that is read once. So the matrix is taken from memory in its own
dtype, each of its vectors is made floats once, in a register, and serves all the rows.

Numbers that are kept in registers need loops that are written out. These functions are made for a
number of rows, and so emit their instructions one by one.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tinynn.kernels.cpu.vectors import (
    address,
    lanes_of,
    load_floats,
    multiply_add,
    shuffle,
    spread,
)

# A vector of sums is complete after this many dot products; a matrix is cut into so many rows.
LANES = lanes_of(4)


def columns_for(rows: int) -> int:
    """How many rows of a matrix meet so many rows at once: as many as a vector has room for, where
    three rows take the room of four."""
    return LANES // (1 << (rows - 1).bit_length())


_ip = types.intp


@cache
def dots(rows: int) -> Any:
    """The function dots(x, i, x_pitch, matrix, j, matrix_pitch, width, out, o, out_pitch):

    out[o + r * out_pitch + t] = sum over c < width of
        x[i + r * x_pitch + c] * matrix[j + t * matrix_pitch + c]

    for r < rows and t < columns_for(rows). x and out are float32; width counts whole vectors.
    Indices are as if the arrays were flat. The order of a sum does not depend on `rows`.
    """
    columns = columns_for(rows)

    @intrinsic
    def function(typing, x, i, x_pitch, matrix, j, matrix_pitch, width, out, o, out_pitch):
        def generate(context, builder, signature, arguments):
            x_, i, x_pitch, matrix_, j, matrix_pitch, width, out_, o, out_pitch = arguments
            sums = registers(builder, rows * columns, ir.FloatType())
            x_rows = steps(builder, i, x_pitch, rows)
            matrix_rows = steps(builder, j, matrix_pitch, columns)
            zero, step = ir.Constant(i.type, 0), ir.Constant(i.type, LANES)
            with cgutils.for_range_slice(builder, zero, width, step, i.type) as (c, _):
                left = [load_floats(context, builder, x, x_, builder.add(row, c)) for row in x_rows]
                for t, row in enumerate(matrix_rows):
                    right = load_floats(context, builder, matrix, matrix_, builder.add(row, c))
                    for r in range(rows):
                        _add(builder, sums[r * columns + t], left[r], right)
            found = totals(builder, [builder.load(register) for register in sums], builder.fadd)
            deal(context, builder, found, out, out_, steps(builder, o, out_pitch, rows))
            return context.get_dummy_value()

        return types.void(x, _ip, _ip, matrix, _ip, _ip, _ip, out, _ip, _ip), generate

    return function


@cache
def add_mixture(rows: int, vectors: int) -> Any:
    """The function add_mixture(x, i, x_pitch, matrix, j, matrix_pitch, count, out, o, out_pitch):

    out[o + r * out_pitch + c] += sum over t < count of
        x[i + r * x_pitch + t] * matrix[j + t * matrix_pitch + c]

    for r < rows and c < vectors * LANES. x and out are float32. Terms are added in order of t.
    """

    @intrinsic
    def function(typing, x, i, x_pitch, matrix, j, matrix_pitch, count, out, o, out_pitch):
        def generate(context, builder, signature, arguments):
            x_, i, x_pitch, matrix_, j, matrix_pitch, count, out_, o, out_pitch = arguments
            columns = [ir.Constant(i.type, c * LANES) for c in range(vectors)]
            pointer = ir.VectorType(ir.FloatType(), LANES).as_pointer()
            places = [
                builder.bitcast(address(context, builder, out, out_, builder.add(row, c)), pointer)
                for row in steps(builder, o, out_pitch, rows)
                for c in columns
            ]
            sums = registers(builder, rows * vectors, ir.FloatType())
            for place, register in zip(places, sums, strict=True):
                builder.store(builder.load(place, align=4), register)
            x_rows = steps(builder, i, x_pitch, rows)
            with cgutils.for_range(builder, count, intp=i.type) as loop:
                row = builder.add(j, builder.mul(matrix_pitch, loop.index))
                right = [
                    load_floats(context, builder, matrix, matrix_, builder.add(row, c))
                    for c in columns
                ]
                for r in range(rows):
                    place = address(context, builder, x, x_, builder.add(x_rows[r], loop.index))
                    left = spread(builder, builder.load(place), LANES)
                    for c in range(vectors):
                        _add(builder, sums[r * vectors + c], left, right[c])
            for place, register in zip(places, sums, strict=True):
                builder.store(builder.load(register), place, align=4)
            return context.get_dummy_value()

        return types.void(x, _ip, _ip, matrix, _ip, _ip, _ip, out, _ip, _ip), generate

    return function


def registers(builder: Any, count: int, element: Any) -> list[Any]:
    """Variables with a vector of zeros each, which the compiler keeps in registers."""
    zero = ir.Constant(ir.VectorType(element, LANES), None)
    variables = [cgutils.alloca_once(builder, zero.type) for _ in range(count)]
    for variable in variables:
        builder.store(zero, variable)
    return variables


def _add(builder: Any, register: Any, left: Any, right: Any) -> None:
    builder.store(multiply_add(builder, left, right, builder.load(register)), register)


def steps(builder: Any, first: Any, pitch: Any, count: int) -> list[Any]:
    """first, first + pitch, first + 2 pitch, ..."""
    places = [first]
    while len(places) < count:
        places.append(builder.add(places[-1], pitch))
    return places


def deal(context: Any, builder: Any, found: Any, out: Any, data: Any, places: list[Any]) -> None:
    """Stores a vector of sums, as many for each row as there are places for rows."""
    columns = columns_for(len(places))
    for r, place in enumerate(places):
        part = shuffle(builder, found, found, range(r * columns, (r + 1) * columns))
        target = address(context, builder, out, data, place)
        builder.store(part, builder.bitcast(target, part.type.as_pointer()), align=4)


def totals(builder: Any, vectors: list[Any], add: Any) -> Any:
    """A vector of the sums of vectors, at most as many as it has places; add(x, y) emits a sum of
    two.

    Each round adds, in pairs of vectors, the halves of every number's partial sums: where a binary
    digit of the place is 0, those of the first vector, where it is 1, those of the second.
    """
    places, digit = range(LANES), 1
    vectors = [*vectors, *[ir.Constant(vectors[0].type, None)] * (LANES - len(vectors))]
    while len(vectors) > 1:
        own = [place + (LANES if place & digit else 0) for place in places]
        other = [(place ^ digit) + (LANES if place & digit else 0) for place in places]
        vectors = [
            add(shuffle(builder, *pair, own), shuffle(builder, *pair, other))
            for pair in zip(vectors[::2], vectors[1::2], strict=True)
        ]
        digit *= 2
    return vectors[0]

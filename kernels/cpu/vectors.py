"""Vectors: what a register of the processor holds, for loops that the compiler does not vectorise.

The compiler makes vectors of a loop over consecutive numbers. Where the numbers of a vector have to
stay in a register while another loop adds to them, as in a product of matrices, a kernel names the
vectors itself, with the functions below. They take a contiguous array of any shape and an index
into it as if it were flat, and do not look at bounds.

The functions for operations that are themselves made of such steps, and for arrays of small
numbers, are below `lanes_of`: they emit LLVM's instructions and are called while a kernel is built.
"""

from __future__ import annotations

import platform
from functools import partial

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

_BYTES = 64 if binding.get_host_cpu_features().get("avx512f") else 32
_AHEAD = 8192
_REGISTER = {"x86_64": "v", "aarch64": "w"}  # what an assembler calls a register for a vector


def lanes_of(itemsize: int) -> int:
    """How many numbers of so many bytes a vector holds."""
    return _BYTES // itemsize


def address(context, builder, array_type, array, index):
    """Emits the address of array[index]."""
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def load_floats(context, builder, array_type, array, index):
    """Emits a vector of array[index] and what follows, in float32 where the array is of smaller
    numbers: int8, uint16 for the bits of bfloat16, and int16 for those of float16."""
    dtype = array_type.dtype
    place = address(context, builder, array_type, array, index)

    def load_as(element, count):
        vector = ir.VectorType(element, count)
        return builder.load(builder.bitcast(place, vector.as_pointer()), align=dtype.bitwidth // 8)

    if isinstance(dtype, types.Float):
        return load_as(context.get_value_type(dtype), lanes_of(dtype.bitwidth // 8))
    count = lanes_of(4)
    integers = ir.VectorType(ir.IntType(32), count)
    floats = ir.VectorType(ir.FloatType(), count)
    if dtype == types.int8:
        return builder.sitofp(builder.sext(load_as(ir.IntType(8), count), integers), floats)
    if dtype == types.uint16:  # bfloat16 is the upper half of a float32
        wide = builder.zext(load_as(ir.IntType(16), count), integers)
        return builder.bitcast(builder.shl(wide, ir.Constant(integers, [16] * count)), floats)
    if dtype == types.int16:
        return builder.fpext(load_as(ir.HalfType(), count), floats)
    raise NotImplementedError(f"no vector is loaded from {dtype}")


def spread(builder, number, count):
    """Emits a vector with the same number in all places."""
    unknown = ir.Constant(ir.VectorType(number.type, count), ir.Undefined)
    first = builder.insert_element(unknown, number, ir.Constant(ir.IntType(32), 0))
    return shuffle(builder, first, first, [0] * count)


def multiply_add(builder, left, right, total):
    """Emits left * right + total, with one rounding where the processor can."""
    product = builder.fmul(left, right, flags=("contract",))
    return builder.fadd(total, product, flags=("contract",))


def shuffle(builder, left, right, places):
    """Emits the elements of two vectors, counted through both, at the places."""
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(places)), list(places))
    return builder.shuffle_vector(left, right, mask)


class Vector(types.Type):
    """Numba's type of a vector of floats."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        self.lanes = lanes_of(dtype.bitwidth // 8)
        super().__init__(name=f"Vector({dtype}, {self.lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager, vector):
        element = manager.lookup(vector.dtype).get_value_type()
        super().__init__(manager, vector, ir.VectorType(element, vector.lanes))


@intrinsic
def lanes(typing, array):
    """How many numbers of the array's dtype a vector holds."""

    def generate(context, builder, signature, arguments):
        return context.get_constant(types.intp, Vector(array.dtype).lanes)

    return types.intp(array), generate


@intrinsic
def load(typing, array, index):
    """The vector array[index : index + lanes(array)]."""

    def generate(context, builder, signature, arguments):
        return load_floats(context, builder, array, *arguments)

    return Vector(array.dtype)(array, types.intp), generate


@intrinsic
def store(typing, array, index, vector):
    """array[index : index + lanes(array)] = vector."""

    def generate(context, builder, signature, arguments):
        place = address(context, builder, array, *arguments[:2])
        pointer = builder.bitcast(place, arguments[2].type.as_pointer())
        builder.store(arguments[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


@intrinsic
def add(typing, left, right):
    """left + right."""

    def generate(context, builder, signature, arguments):
        return builder.fadd(*arguments)

    return left(left, right), generate


@intrinsic
def add_multiple(typing, total, vector, array, index):
    """total + vector * array[index], with one rounding where the processor can."""

    def generate(context, builder, signature, arguments):
        total, vector = arguments[:2]
        number = builder.load(address(context, builder, array, *arguments[2:]))
        copies = spread(builder, number, vector.type.count)
        return multiply_add(builder, vector, copies, total)

    return total(total, vector, array, types.intp), generate


@intrinsic
def interleave(typing, left, right):
    """The numbers of two vectors in turn, left[0], right[0], left[1], ..., as two vectors."""

    def generate(context, builder, signature, arguments):
        count = left.lanes
        turns = [place for lane in range(count) for place in (lane, count + lane)]
        halves = [shuffle(builder, *arguments, part) for part in (turns[:count], turns[count:])]
        return context.make_tuple(builder, signature.return_type, halves)

    return types.UniTuple(left, 2)(left, right), generate


@intrinsic
def fetch(typing, array, index, count):
    """Has array[index : index + count] come from memory in order; whole vectors only.

    Read from its first byte to its last, memory comes as fast as it can; a kernel that goes through
    several rows at once, and returns to them, calls this first. Numbers of 4 bytes and more are
    loaded, to no other end. Smaller ones take longer to compute with than to come: what lies
    `_AHEAD` bytes behind them is asked for, and is there when its turn comes.
    """
    size = array.dtype.bitwidth // 8

    def generate(context, builder, signature, arguments):
        array_, index, count = arguments
        register = _REGISTER.get(platform.machine())
        if size < 4:
            _each_line(context, builder, array, array_, index, count, _prefetch)
        elif register:
            _each_line(context, builder, array, array_, index, count, partial(_load_into, register))
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), generate


def _each_line(context, builder, array_type, array, index, count, act):
    """Emits act(builder, address) for the addresses of the whole vectors of array[index : ...]."""
    step = ir.Constant(index.type, _BYTES // (array_type.dtype.bitwidth // 8))
    # The last of a count that is no multiple may lie at the end of the array.
    end = builder.add(index, builder.sub(count, builder.sub(step, ir.Constant(index.type, 1))))
    with cgutils.for_range_slice(builder, index, end, step, index.type) as (i, _):
        act(builder, address(context, builder, array_type, array, i))


def _load_into(register, builder, place):
    vector = ir.VectorType(ir.IntType(8), _BYTES)
    kept = ir.FunctionType(ir.VoidType(), [vector])
    place = builder.bitcast(place, vector.as_pointer())
    builder.asm(kept, "", register, [builder.load(place, align=1)], True)


def _prefetch(builder, place):
    pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    takes = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
    function = builder.module.declare_intrinsic("llvm.prefetch", [pointer], takes)
    ahead = builder.gep(builder.bitcast(place, pointer), [ir.Constant(ir.IntType(64), _AHEAD)])
    # To read, into the nearest cache, as data; a place behind the end of an array does no harm.
    builder.call(function, [ahead, number(0), number(3), number(1)])


@intrinsic
def copy(typing, source, i, target, j, count):
    """target[j : j + count] = source[i : i + count], of another array."""

    def generate(context, builder, signature, arguments):
        from_, i, to, j, count = arguments
        cgutils.raw_memcpy(
            builder,
            address(context, builder, target, to, j),
            address(context, builder, source, from_, i),
            count,
            source.dtype.bitwidth // 8,
        )
        return context.get_dummy_value()

    return types.void(source, types.intp, target, types.intp, types.intp), generate

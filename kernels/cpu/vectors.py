"""Vectors: what a register of the processor holds, for loops that the compiler does not vectorise.

The compiler makes vectors of a loop over consecutive numbers. Where the numbers of a vector have to
stay in a register while another loop adds to them, as in a product of matrices, a kernel names the
vectors itself, with the functions below. They take a contiguous array of any shape and an index
into it as if it were flat, and do not look at bounds.
"""

from __future__ import annotations

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

_BYTES = 64 if binding.get_host_cpu_features().get("avx512f") else 32


def lanes_of(itemsize: int) -> int:
    """How many numbers of so many bytes a vector holds."""
    return _BYTES // itemsize


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


def _address(context, builder, array_type, array, index):
    """The address of array[index] in LLVM's terms."""
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


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
        address = _address(context, builder, array, *arguments)
        vector = context.get_value_type(signature.return_type)
        return builder.load(
            builder.bitcast(address, vector.as_pointer()), align=array.dtype.bitwidth // 8
        )

    return Vector(array.dtype)(array, types.intp), generate


@intrinsic
def store(typing, array, index, vector):
    """array[index : index + lanes(array)] = vector."""

    def generate(context, builder, signature, arguments):
        address = _address(context, builder, array, *arguments[:2])
        pointer = builder.bitcast(address, arguments[2].type.as_pointer())
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
        number = builder.load(_address(context, builder, array, *arguments[2:]))
        unknown = ir.Constant(vector.type, ir.Undefined)
        first = builder.insert_element(unknown, number, ir.Constant(ir.IntType(32), 0))
        copies = _shuffle(builder, first, first, [0] * vector.type.count)
        product = builder.fmul(vector, copies, flags=("contract",))
        return builder.fadd(total, product, flags=("contract",))

    return total(total, vector, array, types.intp), generate


@intrinsic
def interleave(typing, left, right):
    """The numbers of two vectors in turn, left[0], right[0], left[1], ..., as two vectors."""

    def generate(context, builder, signature, arguments):
        count = left.lanes
        turns = [place for lane in range(count) for place in (lane, count + lane)]
        halves = [_shuffle(builder, *arguments, part) for part in (turns[:count], turns[count:])]
        return context.make_tuple(builder, signature.return_type, halves)

    return types.UniTuple(left, 2)(left, right), generate


def _shuffle(builder, left, right, places):
    """The elements of two vectors, counted through both, at the places."""
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places)
    return builder.shuffle_vector(left, right, mask)


@intrinsic
def copy(typing, source, i, target, j, count):
    """target[j : j + count] = source[i : i + count], of another array."""

    def generate(context, builder, signature, arguments):
        from_, i, to, j, count = arguments
        cgutils.raw_memcpy(
            builder,
            _address(context, builder, target, to, j),
            _address(context, builder, source, from_, i),
            count,
            source.dtype.bitwidth // 8,
        )
        return context.get_dummy_value()

    return types.void(source, types.intp, target, types.intp, types.intp), generate

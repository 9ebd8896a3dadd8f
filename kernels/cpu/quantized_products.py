"""Products of a few rows with a tile of a quantized matrix: sixteen of its rows, a lane for each.

The whole numbers of a tile lie in memory as a processor's vectors take them: of each sixteen rows
the first four columns, then the next four. So a vector of 64 bytes, times four whole numbers of x,
adds to sixteen sums at once (vpdpbusd, one instruction where the processor has it), no sum is ever
added up across a vector, and a tile is read once, from its first byte to its last, for all rows
of x. Numbers of 4 bits lie two to a byte: those of a group's first half in the low places.

What the numbers mean is said in `tinynn/backend/reference/quantized.py`.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from tinynn.kernels.cpu.vectors import address, multiply_add, shuffle, spread

ROWS = 16  # of a tile
GROUP = 32  # columns that share a scale


class Form(NamedTuple):
    """What a block of a matrix holds: so many bits a code, so many float16 for each row."""

    bits: int
    halves: int


FORMS = {512: Form(8, 0), 544: Form(8, 1), 288: Form(4, 1), 320: Form(4, 2)}  # by their bytes
ZEROS = 8, 128  # the code that stands for zero where there are no offsets: of 4 bits, of 8

_QUAD = 4  # columns of a vector
_BYTE, _INT, _FLOAT = ir.IntType(8), ir.IntType(32), ir.FloatType()
_CODES = ir.VectorType(_BYTE, ROWS * _QUAD)
_INTS, _FLOATS = ir.VectorType(_INT, ROWS), ir.VectorType(_FLOAT, ROWS)


class _Totals(types.Type):  # type: ignore[misc]
    """Numba's type of a float32 for each row of a tile."""

    def __init__(self) -> None:
        super().__init__(name="Totals")


@register_model(_Totals)
class _TotalsModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager, kind):
        super().__init__(manager, kind, _FLOATS)


_totals = _Totals()


@cache
def no_totals(rows: int) -> Any:
    """The function no_totals(): zeros for `rows` rows of x and all rows of a tile."""
    kind = types.UniTuple(_totals, rows)

    @intrinsic
    def function(typing):
        def generate(context, builder, signature, arguments):
            return context.make_tuple(builder, kind, [ir.Constant(_FLOATS, None)] * rows)

        return kind(), generate

    return function


def best_instruction() -> str:
    """The widest form of vpdpbusd that the processor has: "avx512", "avx2" or "none"."""
    if config.CPU_NAME or config.CPU_FEATURES:  # Numba was told of another processor
        return "none"
    features = binding.get_host_cpu_features()
    if features.get("avx512vnni"):
        return "avx512"
    return "avx2" if features.get("avxvnni") else "none"


@cache
def add_group(rows: int, instruction: str | None = None) -> Any:
    """The function add_group(totals, blocks, c, paired, shifted, row_scales, x, i, factors, sums,
    f): the totals with the products of one group of columns added, for row r of x and lane t

    scale[t] * factors[f + r] * (sums[f + r] + sum over k < 32 of code[t, k] * x[i + 32 r + k])

    The group's block begins at blocks[c]: float16 scales unless there are `row_scales`, in whose
    place they are 1 here; float16 offsets unless `shifted` is None; codes, two to a byte unless
    `paired` is None. x is int8, or float32 with factors of None, which are 1. Sums are int32; with
    offsets they are float32 and add offset[t] * sums[f + r] instead. Where x is float32 and there
    are no offsets they are not read: the code that stands for zero is subtracted from the others.
    """
    instruction = best_instruction() if instruction is None else instruction

    @intrinsic
    def function(typing, totals, blocks, c, paired, shifted, row_scales, x, i, factors, sums, f):
        bits, signed = 8 if paired == types.none else 4, shifted == types.none

        def generate(context, builder, signature, arguments):
            totals_, blocks_, c, _, _, _, x_, i, factors_, sums_, f = arguments
            place, first = (
                address(context, builder, *array) for array in ((blocks, blocks_, c), (x, x_, i))
            )
            scale = offset = None
            if row_scales == types.none:
                scale, place = _halves(builder, place)
            if not signed:
                offset, place = _halves(builder, place)
            columns, terms = _columns(builder, place, bits), None
            if sums != types.none:
                terms = _spread_each(context, builder, sums, sums_, f, rows)
            if x.dtype == types.int8:
                start = terms if signed else None
                found = _whole_products(builder, columns, first, start, rows, instruction)
                factor = _spread_each(context, builder, factors, factors_, f, rows)
                if scale is not None:
                    factor = [builder.fmul(scale, own) for own in factor]
            else:
                found = _float_products(
                    builder, columns, first, ZEROS[bits == 8] if signed else 0, rows
                )
                factor = [scale or ir.Constant(_FLOATS, [1.0] * ROWS)] * rows
            result = cgutils.unpack_tuple(builder, totals_, rows)
            for r in range(rows):
                result[r] = multiply_add(builder, factor[r], found[r], result[r])
                if offset is not None:
                    result[r] = multiply_add(builder, offset, terms[r], result[r])
            return context.make_tuple(builder, signature.return_type, result)

        n = types.intp
        return totals(totals, blocks, n, paired, shifted, row_scales, x, n, factors, sums, n), (
            generate
        )

    return function


@cache
def finish(rows: int) -> Any:
    """The function finish(totals, row_scales, bias, t, out, o, pitch, live, count):

    out[o + r * pitch + lane] = totals[r][lane] * row_scales[t + lane] + bias[t + lane]

    for r < live and lane < count, at most 16. There may be None for the scales and for the bias.
    """

    @intrinsic
    def function(typing, totals, row_scales, bias, t, out, o, pitch, live, count):
        def generate(context, builder, signature, arguments):
            totals_, scales_, bias_, t, out_, o, pitch, live, count = arguments
            found = cgutils.unpack_tuple(builder, totals_, rows)
            if row_scales != types.none:
                place = address(context, builder, row_scales, scales_, t)
                scale = _load_first(builder, place, count)
                found = [builder.fmul(total, scale) for total in found]
            if bias != types.none:
                term = _load_first(builder, address(context, builder, bias, bias_, t), count)
                found = [builder.fadd(total, term) for total in found]
            for r in range(rows):
                row = ir.Constant(o.type, r)
                exists = builder.icmp_signed("<", row, live)
                lanes = builder.select(exists, count, ir.Constant(count.type, 0))
                place = builder.add(o, builder.mul(pitch, row))
                _store_first(builder, found[r], address(context, builder, out, out_, place), lanes)
            return context.get_dummy_value()

        n = types.intp
        return types.void(totals, row_scales, bias, n, out, n, n, n, n), generate

    return function


def _columns(builder: Any, place: Any, bits: int) -> list[Any]:
    """A group's codes as vectors of bytes, each of four columns."""
    place = builder.bitcast(place, _CODES.as_pointer())
    count = GROUP // _QUAD * bits // 8
    loaded = [
        builder.load(builder.gep(place, [ir.Constant(_INT, v)]), align=1) for v in range(count)
    ]
    if bits == 8:
        return loaded
    low = ir.Constant(_CODES, [15] * _CODES.count)
    # Bytes are shifted as parts of larger numbers, for which processors have an instruction.
    words, four = ir.VectorType(_INT, ROWS), ir.Constant(_INTS, [4] * ROWS)
    shifted = [
        builder.bitcast(builder.lshr(builder.bitcast(v, words), four), _CODES) for v in loaded
    ]
    return [builder.and_(codes, low) for codes in (*loaded, *shifted)]


def _whole_products(
    builder: Any, columns: list[Any], x: Any, start: Any, rows: int, instruction: str
) -> list[Any]:
    """For each row of x, in float32, start + the sums of codes * x."""
    sums = start or [ir.Constant(_INTS, None)] * rows
    x = builder.bitcast(x, _INT.as_pointer())
    for v, codes in enumerate(columns):
        for r in range(rows):
            place = builder.gep(x, [ir.Constant(_INT, r * len(columns) + v)])
            four = builder.bitcast(spread(builder, builder.load(place, align=4), ROWS), _CODES)
            sums[r] = _add_fours(builder, sums[r], codes, four, instruction)
    return [builder.sitofp(total, _FLOATS) for total in sums]


def _add_fours(builder: Any, total: Any, codes: Any, x: Any, instruction: str) -> Any:
    """total[t] + sum over k < 4 of codes[4 t + k] * x[4 t + k]; codes have no sign, x has one."""
    if instruction == "none":
        return builder.add(total, _sums_of_fours(builder, codes, x))
    width = 512 if instruction == "avx512" else 256
    count = width // 32
    kind, name = ir.VectorType(_INT, count), f"llvm.x86.avx512.vpdpbusd.{width}"
    bytes_ = ir.VectorType(_BYTE, 4 * count)
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [kind, bytes_, bytes_]), name
    )
    parts = [
        builder.call(
            function,
            [
                shuffle(builder, total, total, range(first, first + count)),
                shuffle(builder, codes, codes, range(4 * first, 4 * (first + count))),
                shuffle(builder, x, x, range(4 * first, 4 * (first + count))),
            ],
        )
        for first in range(0, ROWS, count)
    ]
    return parts[0] if len(parts) == 1 else shuffle(builder, *parts, range(ROWS))


def _sums_of_fours(builder: Any, codes: Any, x: Any) -> Any:
    """The same sums in operations of any processor: of pairs of 16 bits, then of two such sums."""
    shorts = ir.VectorType(ir.IntType(16), _CODES.count)
    wide = ir.VectorType(_INT, _CODES.count)
    left, right = builder.zext(codes, shorts), builder.sext(x, shorts)
    sums = builder.mul(builder.sext(left, wide), builder.sext(right, wide))
    while sums.type.count > ROWS:
        even, odd = (shuffle(builder, sums, sums, range(k, sums.type.count, 2)) for k in range(2))
        sums = builder.add(even, odd)
    return sums


def _float_products(builder: Any, columns: list[Any], x: Any, zero: int, rows: int) -> list[Any]:
    """For each row of x the sums of (codes - zero) * x, in float32."""
    sums = [ir.Constant(_FLOATS, None)] * rows
    zero, mask = ir.Constant(_INTS, [zero] * ROWS), ir.Constant(_INTS, [255] * ROWS)
    for k in range(GROUP):
        quad = builder.bitcast(columns[k // _QUAD], _INTS)
        shift = ir.Constant(_INTS, [8 * (k % _QUAD)] * ROWS)
        code = builder.and_(builder.lshr(quad, shift), mask)
        code = builder.sitofp(builder.sub(code, zero), _FLOATS)
        for r in range(rows):
            number = builder.load(builder.gep(x, [ir.Constant(_INT, r * GROUP + k)]))
            sums[r] = multiply_add(builder, code, spread(builder, number, ROWS), sums[r])
    return sums


def _spread_each(
    context: Any, builder: Any, array_type: Any, array: Any, first: Any, count: int
) -> list[Any]:
    """array[first], array[first + 1], ..., each in all lanes of a vector."""
    place = address(context, builder, array_type, array, first)
    return [
        spread(builder, builder.load(builder.gep(place, [ir.Constant(_INT, r)])), ROWS)
        for r in range(count)
    ]


def _halves(builder: Any, place: Any) -> tuple[Any, Any]:
    """(a float16 for each row of a tile, as float32; what lies behind them)"""
    halves = ir.VectorType(ir.HalfType(), ROWS)
    loaded = builder.load(builder.bitcast(place, halves.as_pointer()), align=2)
    behind = builder.gep(place, [ir.Constant(_INT, 2 * ROWS)])
    return builder.fpext(loaded, _FLOATS), behind


def _first(builder: Any, count: Any) -> Any:
    """Which lanes are among the first `count`."""
    places = ir.Constant(ir.VectorType(count.type, ROWS), list(range(ROWS)))
    return builder.icmp_signed("<", places, spread(builder, count, ROWS))


def _load_first(builder: Any, place: Any, count: Any) -> Any:
    mask, pointer = _first(builder, count), _FLOATS.as_pointer()
    kind = ir.FunctionType(_FLOATS, [pointer, _INT, mask.type, _FLOATS])
    function = cgutils.get_or_insert_function(
        builder.module, kind, f"llvm.masked.load.v{ROWS}f32.p0"
    )
    zeros = ir.Constant(_FLOATS, None)
    return builder.call(function, [builder.bitcast(place, pointer), _INT(4), mask, zeros])


def _store_first(builder: Any, vector: Any, place: Any, count: Any) -> None:
    mask, pointer = _first(builder, count), _FLOATS.as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [_FLOATS, pointer, _INT, mask.type])
    function = cgutils.get_or_insert_function(
        builder.module, kind, f"llvm.masked.store.v{ROWS}f32.p0"
    )
    builder.call(function, [vector, builder.bitcast(place, pointer), _INT(4), mask])

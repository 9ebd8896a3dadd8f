"""Products of a few rows with the keys and the values of a sequence that lies in blocks.

Both go through the memory of a block from its first byte to its last, through all heads that are
asked for: memory is fastest where it is read on and on. Rows that meet a cache of int8 are int16,
and so are their powers, with a factor for each row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from numba import types
from numba.extending import overload, register_jitable

from tinynn.kernels.cpu.few_rows import LANES, add_mixture, columns_for, dots
from tinynn.kernels.cpu.few_whole_rows import add_whole_mixture, whole_dots
from tinynn.kernels.cpu.vectors import fetch

CHUNK = 128  # keys whose scores are computed before their values are added
STRIP = 16  # keys that lie one after the other in any block, for blocks hold multiples of it


class _Mixture(NamedTuple):
    """How values are added to the sums of a few rows."""

    add: Callable[..., None]  # the values of `few` keys, in all their width
    few: int  # values that stay in the nearest cache while rows go through them
    step: int  # keys are taken by so many


def _score(rows: int, dot: Any) -> Any:
    columns = columns_for(rows)

    @register_jitable
    def score(query, keys, head, table, start, last, scores):
        kv_heads, size, width = keys.shape[1:]
        heads, whole, _ = scores.shape
        strip = start - start % STRIP
        while strip < last:
            offset, column = strip % size, strip % CHUNK
            count = min(size - offset, last - strip)
            block = table[strip // size] * kv_heads + head
            for h in range(heads):
                place = ((block + h) * size + offset) * width
                for t in range(0, count, columns):
                    k = place + t * width
                    fetch(keys, k, columns * width)
                    for r in range(h * whole, (h + 1) * whole, rows):
                        o = r * CHUNK + column + t
                        dot(query, r * width, width, keys, k, width, width, scores, o, CHUNK)
            strip += count

    return score


def _float_mixture(rows: int, vectors: int) -> _Mixture:
    mix, mix_one = add_mixture(rows, vectors), add_mixture(rows, 1)

    @register_jitable
    def add(powers, i, factors, r, values, v, count, width, sums, o):
        c = 0
        while c + vectors * LANES <= width:
            mix(powers, i, CHUNK, values, v + c, width, count, sums, o + c, width)
            c += vectors * LANES
        while c < width:
            mix_one(powers, i, CHUNK, values, v + c, width, count, sums, o + c, width)
            c += LANES

    return _Mixture(add, 16, 1)


def _whole_mixture(rows: int, vectors: int) -> _Mixture:
    mix, mix_one = add_whole_mixture(rows, vectors), add_whole_mixture(rows, 1)

    @register_jitable
    def add(powers, i, factors, r, values, v, count, width, sums, o):
        c = 0
        while c + vectors * LANES <= width:
            mix(powers, i, CHUNK, factors, r, values, v + c, width, count, sums, o + c, width)
            c += vectors * LANES
        while c < width:
            mix_one(powers, i, CHUNK, factors, r, values, v + c, width, count, sums, o + c, width)
            c += LANES

    return _Mixture(add, 64, 2)


def _add_values(rows: int, mixture: _Mixture) -> Any:
    add, most, step = mixture

    @register_jitable
    def add_values(powers, factors, values, head, table, start, last, sums):
        kv_heads, size, width = values.shape[1:]
        heads, whole, _ = powers.shape
        # The powers of keys that are not asked for are zero, and blocks hold multiples of a step.
        start, last = start - start % step, last + -last % step
        while start < last:
            offset, column = start % size, start % CHUNK
            count = min(size - offset, last - start)
            block = table[start // size] * kv_heads + head
            for h in range(heads):
                place = ((block + h) * size + offset) * width
                for t in range(0, count, most):
                    few, v = min(most, count - t), place + t * width
                    fetch(values, v, few * width)
                    for r in range(h * whole, (h + 1) * whole, rows):
                        i = r * CHUNK + column + t
                        add(powers, i, factors, r, values, v, few, width, sums, r * width)
            start += count

    return add_values


# Rows that go through the products together, and how many vectors of values they take at a time.
_TILES = {1: 8, 2: 4, 3: 4, 4: 4}
_SCORES = {
    types.float32: [_score(rows, dots(rows)) for rows in _TILES],
    types.int16: [_score(rows, whole_dots(rows)) for rows in _TILES],
}
_ADDITIONS = {
    types.float32: [_add_values(rows, _float_mixture(rows, most)) for rows, most in _TILES.items()],
    types.int16: [_add_values(rows, _whole_mixture(rows, 4)) for rows in _TILES],
}


@register_jitable
def tile_of(rows):
    """How many rows go through the products together; arrays of rows hold a multiple of it."""
    if rows <= 2:
        return rows
    return 3 if rows % 3 == 0 and rows % 4 else 4


def score(tile, query, keys, head, table, start, last, scores):
    """scores[h, r, t % CHUNK] = query[h, r] keys of head + h at t, for the strips that hold
    start <= t < last; they are of one chunk."""


@overload(score)
def _typed_score(tile, query, keys, head, table, start, last, scores):
    one, two, three, four = _SCORES[query.dtype]

    def implementation(tile, query, keys, head, table, start, last, scores):
        if tile == 1:
            one(query, keys, head, table, start, last, scores)
        elif tile == 2:
            two(query, keys, head, table, start, last, scores)
        elif tile == 3:
            three(query, keys, head, table, start, last, scores)
        else:
            four(query, keys, head, table, start, last, scores)

    return implementation


def add_values(tile, powers, factors, values, head, table, start, last, sums):
    """sums[h, r] += sum over start <= t < last of powers[h, r, t % CHUNK] values of head + h at t;
    of factors[h, r] times that, where powers are int16, and zero at the next key and the last."""


@overload(add_values)
def _typed_add_values(tile, powers, factors, values, head, table, start, last, sums):
    one, two, three, four = _ADDITIONS[powers.dtype]

    def implementation(tile, powers, factors, values, head, table, start, last, sums):
        if tile == 1:
            one(powers, factors, values, head, table, start, last, sums)
        elif tile == 2:
            two(powers, factors, values, head, table, start, last, sums)
        elif tile == 3:
            three(powers, factors, values, head, table, start, last, sums)
        else:
            four(powers, factors, values, head, table, start, last, sums)

    return implementation

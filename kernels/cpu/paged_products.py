"""Products of a few rows with the keys and the values of a sequence that lies in blocks.

Both go through the memory of a block from its first byte to its last, through all heads that are
asked for: memory is fastest where it is read on and on.
"""

from __future__ import annotations

from typing import Any

from numba.extending import register_jitable

from tinynn.kernels.cpu.few_rows import LANES, add_mixture, dots
from tinynn.kernels.cpu.vectors import touch

CHUNK = 128  # keys whose scores are computed before their values are added
STRIP = 16  # keys that lie one after the other in any block, for blocks hold multiples of it
_FEW = 16  # values that stay in the nearest cache while rows go through them


def _products(rows: int, vectors: int) -> tuple[Any, Any]:
    """Both products, for so many rows at a time, and so many vectors of values."""
    dot, mix, mix_one = dots(rows), add_mixture(rows, vectors), add_mixture(rows, 1)
    columns = LANES // rows

    @register_jitable
    def score(query, keys, head, table, start, last, scores):
        """scores[h, r, t % CHUNK] = query[h, r] keys of head + h at t, for the strips that hold
        start <= t < last; they are of one chunk."""
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
                    touch(keys, k, columns * width)
                    for r in range(h * whole, (h + 1) * whole, rows):
                        o = r * CHUNK + column + t
                        dot(query, r * width, width, keys, k, width, width, scores, o, CHUNK)
            strip += count

    @register_jitable
    def add(powers, i, values, v, count, width, sums, o):
        c = 0
        while c + vectors * LANES <= width:
            mix(powers, i, CHUNK, values, v + c, width, count, sums, o + c, width)
            c += vectors * LANES
        while c < width:
            mix_one(powers, i, CHUNK, values, v + c, width, count, sums, o + c, width)
            c += LANES

    @register_jitable
    def add_values(powers, values, head, table, start, last, sums):
        """sums[h, r] += sum over start <= t < last of powers[h, r, t % CHUNK] values of head + h
        at t."""
        kv_heads, size, width = values.shape[1:]
        heads, whole, _ = powers.shape
        while start < last:
            offset, column = start % size, start % CHUNK
            count = min(size - offset, last - start)
            block = table[start // size] * kv_heads + head
            for h in range(heads):
                place = ((block + h) * size + offset) * width
                for t in range(0, count, _FEW):
                    few, v = min(_FEW, count - t), place + t * width
                    touch(values, v, few * width)
                    for r in range(h * whole, (h + 1) * whole, rows):
                        i = r * CHUNK + column + t
                        add(powers, i, values, v, few, width, sums, r * width)
            start += count

    return score, add_values


_score_1, _add_values_1 = _products(1, 8)
_score_2, _add_values_2 = _products(2, 4)
_score_4, _add_values_4 = _products(4, 4)


@register_jitable
def tile_of(rows):
    """How many rows go through the products together; arrays of rows hold a multiple of it."""
    return 1 if rows == 1 else 2 if rows == 2 else 4


@register_jitable
def score(tile, query, keys, head, table, start, last, scores):
    if tile == 1:
        _score_1(query, keys, head, table, start, last, scores)
    elif tile == 2:
        _score_2(query, keys, head, table, start, last, scores)
    else:
        _score_4(query, keys, head, table, start, last, scores)


@register_jitable
def add_values(tile, powers, values, head, table, start, last, sums):
    if tile == 1:
        _add_values_1(powers, values, head, table, start, last, sums)
    elif tile == 2:
        _add_values_2(powers, values, head, table, start, last, sums)
    else:
        _add_values_4(powers, values, head, table, start, last, sums)

"""Attention of new tokens to a cache in blocks: every key and value is read from memory once.

A row is one query: of one head and one new token. The rows that share a head of the cache, those
of the head's group and of a sequence's new tokens, go through its keys together, a chunk of keys
at a time: their scores, then, row by row, the powers of the scores, then their mixture of values,
by an online softmax.

Where there are too few sequences and heads to keep all threads busy, each sequence's keys are cut
into as many pieces as there are threads, at least `_LEAST` keys long, and the results of the pieces
are merged. In pieces of a given size the cuts are at multiples of it, whatever the batch, and all
sums run in the same order: so is the result.

A cache of int8 is multiplied with whole numbers: queries and powers are rounded to int16.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import prange, types
from numba.extending import overload, register_jitable

from tinynn.kernels.cpu import compiler
from tinynn.kernels.cpu.arrays import Array, narrowed, stored, widened
from tinynn.kernels.cpu.compiler import twins
from tinynn.kernels.cpu.elementary import f32
from tinynn.kernels.cpu.few_rows import LANES
from tinynn.kernels.cpu.few_whole_rows import round_to
from tinynn.kernels.cpu.merging import merge_attention
from tinynn.kernels.cpu.online_softmax import hide, soften
from tinynn.kernels.cpu.paged_products import CHUNK, STRIP, add_values, score, tile_of
from tinynn.kernels.cpu.vectors import copy

_GRAIN = 1 << 21  # multiplications
_PANEL = 64  # rows that go through the keys together
_LEAST = 256
_NO_SCALES = np.empty((0, 0, 0), np.float32)
_WHOLE, _FLOAT = np.empty(0, np.int16), np.empty(0, np.float32)  # what rows are rounded to


def decode_attention(
    query: Array,
    query_starts: Array,
    keys: Array,
    values: Array,
    key_scales: Array | None,
    value_scales: Array | None,
    block_tables: Array,
    lengths: Array,
    *,
    scale: float,
    window: int | None = None,
    sinks: int = 0,
    split_size: int | None = None,
    out: Array | None = None,
) -> Any:
    """Attention of the last tokens of each sequence; see the reference of the same name."""
    size, width = keys.shape[2:]
    fits = size % STRIP == 0 and width % LANES == 0 and keys.flags.c_contiguous
    if not fits or not _are_known(query.dtype, keys.dtype):
        return NotImplemented
    tokens, heads, _ = query.shape
    # As far as shapes tell: what lengths and starts hold may change before a plan is replayed.
    longest = block_tables.shape[1] * size
    together = _heads_together(query, lengths.size, keys.shape[1])
    work = 2 * longest * tokens * heads * width
    pieces = _pieces(lengths.size * -(-keys.shape[1] // together), longest, work, split_size)
    single = query.dtype == np.float32
    result = out if single and out is not None else np.empty(query.shape, np.float32, like=query)
    lse = np.empty((tokens, heads), np.float32, like=query)
    parts, part_lses = result[None], lse[None]
    if pieces > 1:
        parts = np.empty((pieces, *query.shape), np.float32, like=query)
        part_lses = np.empty((pieces, tokens, heads), np.float32, like=query)
    _decode(
        work,
        widened(query),
        query_starts,
        stored(keys),
        stored(values),
        _NO_SCALES if key_scales is None else key_scales,
        _NO_SCALES if value_scales is None else value_scales,
        block_tables,
        lengths,
        f32(scale),
        longest + 1 if window is None else window,
        sinks,
        split_size or 0,
        together,
        _WHOLE if keys.dtype == np.int8 else _FLOAT,
        parts,
        part_lses,
    )
    if pieces > 1:
        result, lse = merge_attention(parts, part_lses, out=result)
    return narrowed(result, query, out), lse


@cache
def _are_known(*dtypes: Any) -> bool:
    return all(dtype.name in ("float32", "float16", "bfloat16", "int8") for dtype in dtypes)


def _heads_together(query: Array, sequences: int, kv_heads: int) -> int:
    """How many heads of the cache a thread goes through at once.

    Many, where they have few rows: they lie side by side in a block, and memory is fastest where
    it is read on and on. Where rows are many, time goes into arithmetic, and heads are work to
    share.
    """
    tokens, heads, _ = query.shape
    rows = -(-tokens // max(sequences, 1)) * (heads // kv_heads)
    return min(max(_PANEL // max(rows, 1), 1), kv_heads)


def _pieces(items: int, longest: int, work: int, split_size: int | None) -> int:
    """Into how many pieces the keys of a sequence are cut, for so many items of work.

    One, where all is little work, or the items fill the threads evenly or are many; else one a
    thread.
    """
    if split_size is not None:
        return max(-(-longest // split_size), 1)
    threads = compiler.get_num_threads()
    if work < _GRAIN or items % threads == 0 or items >= 8 * threads:
        return 1
    return max(min(threads, longest // _LEAST), 1)


class _Cache(NamedTuple):
    keys: Any
    values: Any
    key_scales: Any  # of size 0 for floats
    value_scales: Any


class _Sight(NamedTuple):
    """What a row sees: row r is at position (r + row) // group + past."""

    row: int
    group: int
    past: int
    window: int
    sinks: int


class _Rows(NamedTuple):
    """Rows of one sequence, for some heads of the cache, and what they have summed so far."""

    query: Any  # [heads, rows, width], times the scale; of the dtype that rows are rounded to
    query_factors: Any  # [heads, rows], what int16 is to be multiplied by
    sums: Any  # [heads, rows, width], of values times powers
    tops: Any  # [heads, rows], the highest scores
    totals: Any  # [heads, rows], of powers
    scores: Any  # [heads, rows, CHUNK]
    powers: Any  # [heads, rows, CHUNK], int16, where rows are rounded
    power_factors: Any  # [heads, rows]
    factors: Any  # [2, CHUNK], the scales of keys and of values


@twins(_GRAIN, "parts", "lses")
def _decode(
    query,
    starts,
    keys,
    values,
    key_scales,
    value_scales,
    tables,
    lengths,
    scale,
    window,
    sinks,
    split_size,
    together,
    rounded,
    parts,
    lses,
):
    cache = _Cache(keys, values, key_scales, value_scales)
    kv_heads = keys.shape[1]
    group, spans = query.shape[1] // kv_heads, -(-kv_heads // together)
    # Neighbours in this order are of other sequences, and threads take neighbours: so pieces of
    # long and of short sequences come to every thread.
    for item in prange(len(parts) * spans * lengths.size):
        piece, rest = divmod(np.intp(item), spans * lengths.size)
        span, s = divmod(rest, lengths.size)
        first, last = starts[s], starts[s + 1]
        past, head = lengths[s] - (last - first), span * together
        heads = slice(head * group, min(head + together, kv_heads) * group)
        begin, end = _piece(piece, len(parts), split_size, lengths[s], past - window + 1)
        for row in range(0, (last - first) * group, _PANEL):
            count = min(_PANEL, (last - first) * group - row)
            sight = _Sight(row, group, past, window, sinks)
            rows = _begin(query[first:last, heads], sight, count, scale, rounded)
            # The sinks before the window of the first row, then all from there on.
            seen = max(past + row // group - window + 1, 0)
            _attend(rows, sight, cache, head, tables[s], begin, min(end, sinks, seen))
            stop = min(end, past + (row + count - 1) // group + 1)
            _attend(rows, sight, cache, head, tables[s], max(begin, seen), stop)
            _finish(rows, sight, parts[piece, first:last, heads], lses[piece, first:last, heads])


@register_jitable
def _piece(piece, pieces, split_size, length, seen):
    """The first key of a piece and the first behind it; the keys before `seen` are of no use.

    The first piece begins at 0, for the sinks are in it.
    """
    if split_size > 0:
        return piece * split_size, min((piece + 1) * split_size, length)
    seen = max(seen, 0)
    size = -(-(length - seen) // (pieces * STRIP)) * STRIP
    begin = seen + piece * size
    return (0 if piece == 0 else begin), min(begin + size, length)


@register_jitable
def _begin(query, sight, count, scale, rounded):
    """The rows of query, [tokens, heads, width], that begin at sight.row, with empty sums."""
    heads, width = query.shape[1] // sight.group, query.shape[2]
    tile = tile_of(count)
    whole = -(-count // tile) * tile
    rows = _Rows(
        np.zeros((heads, whole, width), rounded.dtype),
        np.zeros((heads, whole), f32),
        np.zeros((heads, whole, width), f32),
        np.full((heads, count), f32(-np.inf)),
        np.zeros((heads, count), f32),
        np.zeros((heads, whole, CHUNK), f32),
        np.zeros((heads, whole, CHUNK if rounded.itemsize == 2 else 0), np.int16),
        np.zeros((heads, whole), f32),
        np.empty((2, CHUNK), f32),
    )
    own = np.empty(width, f32)
    for h in range(heads):
        for r in range(count):
            token, member = divmod(sight.row + r, sight.group)
            for c in range(width):
                own[c] = query[token, h * sight.group + member, c] * scale
            rows.query_factors[h, r] = round_to(own, rows.query[h, r])
    return rows


def _multipliers(query, scores, powers):
    """What values are multiplied by: the powers in place of scores, or those that are rounded."""


@overload(_multipliers)
def _typed_multipliers(query, scores, powers):
    if query.dtype == types.int16:
        return lambda query, scores, powers: powers
    return lambda query, scores, powers: scores


@register_jitable
def _attend(rows, sight, cache, head, table, start, stop):
    """Adds the keys from start to stop to the sums."""
    tile = tile_of(rows.tops.shape[1])
    powers = _multipliers(rows.query, rows.scores, rows.powers)
    while start < stop:
        last = min((start // CHUNK + 1) * CHUNK, stop)
        score(tile, rows.query, cache.keys, head, table, start, last, rows.scores)
        for h in range(len(rows.query)):
            _weigh(rows, sight, cache, h, head + h, table, start, last)
        add_values(
            tile, powers, rows.power_factors, cache.values, head, table, start, last, rows.sums
        )
        start = last


@register_jitable
def _weigh(rows, sight, cache, h, head, table, start, last):
    """Makes the scores of a head what its values are to be multiplied by."""
    first, count = start % CHUNK, last - start
    if cache.key_scales.size:
        _gather(cache.key_scales, head, table, start, last, rows.factors[0])
        _gather(cache.value_scales, head, table, start, last, rows.factors[1])
    for r in range(rows.tops.shape[1]):
        own = rows.scores[h, r, first : first + count]
        position = sight.past + (sight.row + r) // sight.group
        if cache.key_scales.size:
            _multiply(own, rows.factors[0], rows.query_factors[h, r])
        hide(own, max(sight.sinks - start, 0), min(last, position - sight.window + 1) - start)
        hide(own, max(position + 1 - start, 0), count)
        soften(own, rows.sums[h, r], rows.tops[h], rows.totals[h], r)
        if cache.value_scales.size:
            _multiply(own, rows.factors[1], f32(1))
            powers = rows.powers[h, r]
            powers[max(first - 1, 0)] = 0
            powers[min(first + count, CHUNK - 1)] = 0
            rows.power_factors[h, r] = round_to(own, powers[first : first + count])


@register_jitable
def _gather(scales, head, table, start, last, factors):
    """factors[t] = the scale of key start + t."""
    heads, size = scales.shape[1:]
    t = 0
    while start + t < last:
        block, offset = divmod(start + t, size)
        count = min(size - offset, last - start - t)
        copy(scales, (table[block] * heads + head) * size + offset, factors, t, count)
        t += count


@register_jitable
def _multiply(scores, factors, factor):
    for t in range(scores.size):
        scores[t] *= factors[t] * factor


@register_jitable
def _finish(rows, sight, out, lse):
    """Writes the results of the rows to out, [tokens, heads, width], and lse, [tokens, heads]."""
    heads, count = rows.tops.shape
    for h in range(heads):
        for r in range(count):
            token, member = divmod(sight.row + r, sight.group)
            total = rows.totals[h, r]
            share = f32(1) / total if total > f32(0) else f32(0)
            for c in range(out.shape[2]):
                out[token, h * sight.group + member, c] = rows.sums[h, r, c] * share
            lse[token, h * sight.group + member] = f32(np.log(total)) + rows.tops[h, r]

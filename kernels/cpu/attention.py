"""Attention and its gradients, block by block: the matrix of all scores is never in memory.

FlashAttention-2 (Dao, https://arxiv.org/abs/2307.08691): forward, 64 queries go through the keys 64
at a time with an online softmax; backward, the powers of a block are found again from the
logarithm of the softmax's sum. Queries of equal keys share nothing, so threads take them in any
order; a head of keys gets its gradients from one thread, in one order, and so the same bits always.

Widths are filled up with zeros to whole vectors: these add nothing to a score, and what they make
of a result or a gradient is cut off.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numba import prange
from numba.extending import register_jitable

from tinynn.kernels.cpu.arrays import (
    Array,
    contiguous,
    narrowed,
    uniform,
    whole_vectors,
    widened,
)
from tinynn.kernels.cpu.compiler import twins
from tinynn.kernels.cpu.dropout import chances
from tinynn.kernels.cpu.elementary import like
from tinynn.kernels.cpu.score_blocks import (
    BLOCK,
    Chance,
    Sight,
    add_mask,
    drop,
    hide,
    is_hidden,
    last_key,
    multiply,
    powers,
    soften,
    turned,
)

_GRAIN = 1 << 20  # multiplications
# Queries; a block of fewer is mostly empty, and all their scores take no more room than the keys.
_LEAST = BLOCK // 2
_NO_MASK = np.ones((0, 0, 0, 0), bool)


def attention(
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None,
    *,
    scale: float,
    is_causal: bool = False,
    window: int | None = None,
    sinks: int = 0,
    p: float = 0.0,
    seed: int = 0,
    stream: Any = 0,
    step: Any = 0,
    offset: Any = 0,
    out: Array | None = None,
) -> Any:
    """softmax(scale query key^T + mask) value; see the reference of the same name."""
    if query.shape[2] < _LEAST:
        return NotImplemented
    q, k, v = (whole_vectors(widened(x)) for x in (query, key, value))
    if not _is_taken(q, k, v):
        return NotImplemented
    in_place = out is not None and uniform(q, out) and out.shape[3] == v.shape[3]
    result = out if in_place else np.empty((*q.shape[:3], v.shape[3]), q.dtype, like=q)
    lse = np.empty(q.shape[:3], q.dtype, like=q)
    _attend(
        q.size * k.shape[2],
        q,
        k,
        v,
        _NO_MASK if mask is None else widened(mask),
        *_options(scale, is_causal, window, sinks, p, seed, stream, step, offset),
        *_tables(*k.shape[2:]),
        result,
        lse,
    )
    return narrowed(_cut(result, value), query, out), lse


def attention_backward(
    g: Array,
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None,
    result: Array,
    lse: Array,
    *,
    scale: float,
    is_causal: bool = False,
    window: int | None = None,
    sinks: int = 0,
    p: float = 0.0,
    seed: int = 0,
    stream: Any = 0,
    step: Any = 0,
    offset: Any = 0,
) -> Any:
    """The gradients of query, key and value; see the reference of the same name."""
    if query.shape[2] < _LEAST:
        return NotImplemented
    arrays = (query, key, value)
    # Heads are often an axis that was moved, in a copy that costs little beside the products.
    q, k, v, g, result = (whole_vectors(widened(x)) for x in (*arrays, g, result))
    if not _is_taken(q, k, v, g, result, lse):
        return NotImplemented
    gradients = tuple(np.empty(x.shape, x.dtype, like=x) for x in (q, k, v))
    _attend_backward(
        q.size * k.shape[2],
        g,
        q,
        k,
        v,
        _NO_MASK if mask is None else widened(mask),
        result,
        lse,
        *_options(scale, is_causal, window, sinks, p, seed, stream, step, offset),
        *_tables(*k.shape[2:]),
        _tables(1, v.shape[3])[1],
        *gradients,
    )
    return tuple(narrowed(_cut(x, like), like) for x, like in zip(gradients, arrays, strict=True))


def _is_taken(query: Array, key: Array, value: Array, *others: Array | None) -> bool:
    """An empty axis leaves nothing to do."""
    shapes = (*query.shape, *key.shape, *value.shape)
    return uniform(query, key, value, *others) and 0 not in shapes


def _cut(array: Array, like: Array) -> Array:
    """The array without what lies behind the width of `like`."""
    width = like.shape[3]
    return array if array.shape[3] == width else contiguous(array[..., :width])


@lru_cache(maxsize=64)
def _tables(keys: int, width: int) -> tuple[Array, Array]:
    """Where the vectors of keys begin, the last one repeated to fill a block, and where, from there
    on, their numbers are."""
    places = np.minimum(np.arange(-(-keys // BLOCK) * BLOCK), keys - 1) * width
    return places, np.arange(width)


def _options(
    scale: float,
    is_causal: bool,
    window: int | None,
    sinks: int,
    p: float,
    seed: int,
    stream: Any,
    step: Any,
    offset: Any,
) -> tuple[Any, ...]:
    """The attributes as compiled code takes them, in its order."""
    return (
        float(scale),
        bool(is_causal),
        np.iinfo(np.int32).max if window is None else window,
        sinks,
        p > 0,
        *chances(p, seed, stream, step, offset),
    )


@twins(_GRAIN, "out", "lse")
def _attend(
    query, key, value, mask, scale, causal, window, sinks, drops, threshold, factor, key0, key1,
    stream, step, offset, places, steps, out, lse,
):  # fmt: skip
    batch, heads, length, width = query.shape
    group = heads // key.shape[1]
    sight = Sight(causal, window, sinks)
    chance = Chance(drops, threshold, like(query, factor), key0, key1, stream, step, offset)
    blocks = -(-length // BLOCK)
    columns, all_steps = np.arange(BLOCK), np.arange(BLOCK) * BLOCK
    for item in prange(batch * heads * blocks):
        pair, turn = divmod(np.intp(item), blocks)
        b, h = divmod(pair, heads)
        # The first and the last block in turn: causal ones grow, and threads take neighbours.
        row = (turn // 2 if turn % 2 == 0 else blocks - 1 - turn // 2) * BLOCK
        rows = min(BLOCK, length - row)
        k, v = key[b, h // group], value[b, h // group]
        q = np.empty((width, BLOCK), query.dtype)
        turned(query[b, h], row, rows, like(query, scale), q)
        scores = np.empty((BLOCK, BLOCK), query.dtype)
        sums = np.zeros((BLOCK, value.shape[3]), query.dtype)
        tops = np.full(BLOCK, like(query, -np.inf))
        totals, factors = np.zeros(BLOCK, query.dtype), np.empty(BLOCK, query.dtype)
        stop = last_key(sight, row, rows, len(k))
        for column in range(0, stop, BLOCK):
            count = min(BLOCK, stop - column)
            if is_hidden(sight, row, column, count):
                continue
            _score(scores, k, places, steps, q, sight, mask, b, h, row, rows, column, count)
            soften(scores, count, tops, totals, factors)
            for i in range(rows):
                if factors[i] != 1:
                    for c in range(sums.shape[1]):
                        sums[i, c] *= factors[i]
            if drops:
                first = (h * length + row) * len(k) + column
                drop(scores, chance, b, first, len(k), rows, count)
            multiply(scores, columns, 0, all_steps[:count], v[column : column + count], sums)
        for i in range(rows):
            share = like(totals, 1) / totals[i] if totals[i] > 0 else like(totals, 0)
            for c in range(sums.shape[1]):
                out[b, h, row + i, c] = sums[i, c] * share
            lse[b, h, row + i] = np.log(totals[i]) + tops[i]


@register_jitable
def _score(scores, k, places, steps, q, sight, mask, b, h, row, rows, column, count):
    """The scores of a block of keys and queries, -inf where they do not see each other."""
    scores[:] = 0
    multiply(k, places, column, steps, q, scores)
    hide(scores, sight, row, rows, column, count)
    if mask.size:
        own = mask[min(b, mask.shape[0] - 1), min(h, mask.shape[1] - 1)]
        add_mask(scores, own, row, rows, column, count)


@twins(_GRAIN, "g_query", "g_key", "g_value")
def _attend_backward(
    g, query, key, value, mask, result, lse, scale, causal, window, sinks, drops, threshold, factor,
    key0, key1, stream, step, offset, places, steps, value_steps, g_query, g_key, g_value,
):  # fmt: skip
    batch, kv_heads, keys, width = key.shape
    group, length = query.shape[1] // kv_heads, query.shape[2]
    sight = Sight(causal, window, sinks)
    chance = Chance(drops, threshold, like(query, factor), key0, key1, stream, step, offset)
    value_places = places // width * value.shape[3]
    for item in prange(batch * kv_heads):
        b, kv = divmod(np.intp(item), kv_heads)
        k, v = key[b, kv], value[b, kv]
        g_k = np.zeros((places.size, width), key.dtype)
        g_v = np.zeros((places.size, value.shape[3]), key.dtype)
        for h in range(kv * group, (kv + 1) * group):
            for row in range(0, length, BLOCK):
                rows = min(BLOCK, length - row)
                _block_backward(
                    g[b, h], query[b, h], k, v, mask, result[b, h], lse[b, h],
                    like(query, scale), sight, chance, b, h, row, rows,
                    places, steps, value_places, value_steps, g_query[b, h], g_k, g_v,
                )  # fmt: skip
        g_key[b, kv] = g_k[:keys]
        g_value[b, kv] = g_v[:keys]


@register_jitable
def _block_backward(
    g, query, k, v, mask, result, lse, scale, sight, chance, b, h, row, rows,
    places, steps, value_places, value_steps, g_query, g_k, g_v,
):  # fmt: skip
    """Adds what a block of queries gives to the gradients of its head's keys and values."""
    width, value_width = k.shape[1], v.shape[1]
    q, g_turned = np.empty((width, BLOCK), k.dtype), np.empty((value_width, BLOCK), k.dtype)
    turned(query, row, rows, scale, q)
    turned(g, row, rows, like(g, 1), g_turned)
    tops, means = np.zeros(BLOCK, k.dtype), np.zeros(BLOCK, k.dtype)
    for i in range(rows):
        tops[i] = lse[row + i]
        for c in range(value_width):
            means[i] += g[row + i, c] * result[row + i, c]
    weights, g_scores = np.empty((BLOCK, BLOCK), k.dtype), np.empty((BLOCK, BLOCK), k.dtype)
    g_q = np.zeros((BLOCK, width), k.dtype)
    columns = np.arange(BLOCK)
    lines = columns * BLOCK
    stop = last_key(sight, row, rows, len(k))
    for column in range(0, stop, BLOCK):
        count = min(BLOCK, stop - column)
        if is_hidden(sight, row, column, count):
            continue
        _score(weights, k, places, steps, q, sight, mask, b, h, row, rows, column, count)
        powers(weights, count, tops)
        weights[count:] = 0  # of keys that are repeated to fill the block
        g_scores[:] = 0
        multiply(v, value_places, column, value_steps, g_turned, g_scores)
        if chance.drops:
            first = (h * len(query) + row) * len(k) + column
            drop(g_scores, chance, b, first, len(k), rows, count)
        for j in range(BLOCK):
            for i in range(BLOCK):
                g_scores[j, i] = weights[j, i] * (g_scores[j, i] - means[i]) * scale
        if chance.drops:
            drop(weights, chance, b, first, len(k), rows, count)
        last = column + BLOCK
        multiply(weights, lines, 0, columns[:rows], g[row : row + rows], g_v[column:last])
        multiply(g_scores, lines, 0, columns[:rows], query[row : row + rows], g_k[column:last])
        multiply(g_scores, columns, 0, lines[:count], k[column : column + count], g_q)
    g_query[row : row + rows] = g_q[:rows]

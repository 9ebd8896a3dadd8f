"""Blocks of scores: 64 keys by 64 queries, which stay in the nearest cache while they are used.

A block has a row for each key and a column for each query. So all that is done to a query's scores,
a maximum, powers, sums, is done to a vector of queries at a time, and every product that attention
and its gradients consist of finds its matrix, queries, keys, values or gradients, in memory as it
is; only the queries are turned, once for all keys (see `tiles.add_products`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

from tinynn.kernels.cpu.compiler import CONTRACT
from tinynn.kernels.cpu.elementary import exp, like
from tinynn.kernels.cpu.philox import philox, u32
from tinynn.kernels.cpu.tiles import ROWS, add_products
from tinynn.kernels.cpu.vectors import lanes

BLOCK = 64


class Sight(NamedTuple):
    """Which keys a query sees: with `causal`, key j <= query i, and of these j > i - window or
    j < sinks."""

    causal: bool
    window: int
    sinks: int


class Chance(NamedTuple):
    """Dropout: whether there is any, and where its random numbers come from."""

    drops: bool
    threshold: Any
    factor: float  # of what is kept
    key0: Any
    key1: Any
    stream: Any  # arrays of one number
    step: Any
    offset: Any


@register_jitable
def multiply(x, rows, first, steps, matrix, out):
    """out[r, c] += sum over s of x[rows[first + r] + steps[s]] * matrix[s, c].

    x is indexed as if it were flat. out has a multiple of ROWS rows and of whole vectors.
    """
    width = out.shape[1]
    for r in range(0, out.shape[0], ROWS):
        for c in range(0, width, lanes(out)):
            add_products(
                x, rows, first + r, steps, 0, steps.size, matrix, c, out, r * width + c, width
            )


@register_jitable
def turned(x, first, count, scale, out):
    """out[e, i] = scale * x[first + i, e] for i < count, and 0 beyond."""
    out[:] = 0
    for i in range(count):
        for e in range(x.shape[1]):
            out[e, i] = scale * x[first + i, e]


@register_jitable
def last_key(sight, row, rows, keys):
    """Behind the last key that any of the rows sees."""
    return min(keys, row + rows) if sight.causal else keys


@register_jitable
def is_hidden(sight, row, column, count):
    """Whether the window of the first row, and so of all later ones, is past these keys."""
    return sight.causal and column >= sight.sinks and column + count <= row - sight.window + 1


@register_jitable
def hide(scores, sight, row, rows, column, count):
    """Scores of pairs that do not see each other become -inf."""
    if not sight.causal:
        return
    for j in range(count):
        key = column + j
        # Query i sees the key from its own position on, until the window has passed it.
        for i in range(min(max(key - row, 0), rows)):
            scores[j, i] = -np.inf
        if key >= sight.sinks:
            for i in range(max(key + sight.window - row, 0), rows):
                scores[j, i] = -np.inf


@register_jitable
def add_mask(scores, mask, row, rows, column, count):
    """Adds mask, [L or 1, S or 1], or hides where it is false."""
    for j in range(count):
        for i in range(rows):
            own = mask[min(row + i, mask.shape[0] - 1), min(column + j, mask.shape[1] - 1)]
            scores[j, i] = _masked(scores[j, i], own)


def _masked(score, mask):
    """The score with a number of a mask, or with its truth value."""


@overload(_masked, jit_options={"forceinline": True})
def _masked_by(score, mask):
    if isinstance(mask, types.Boolean):
        return lambda score, mask: score if mask else like(score, -np.inf)
    return lambda score, mask: score + like(score, mask)


@register_jitable(fastmath=CONTRACT)
def soften(scores, count, tops, totals, factors):
    """Makes scores their powers against the highest so far of each query, tops.

    The powers are added to totals; totals so far, and what has been summed with older powers, are
    to be multiplied by factors.
    """
    for i in range(tops.size):
        factors[i] = tops[i]
    for j in range(count):
        for i in range(tops.size):
            tops[i] = scores[j, i] if scores[j, i] > tops[i] else tops[i]
    for i in range(tops.size):
        base = tops[i] if tops[i] > -np.inf else like(tops, 0)
        factors[i] = exp(factors[i] - base)
        totals[i] *= factors[i]
    powers(scores, count, tops)
    for j in range(count):
        for i in range(tops.size):
            totals[i] += scores[j, i]


@register_jitable(fastmath=CONTRACT)
def powers(scores, count, tops):
    """scores[j, i] = exp(scores[j, i] - tops[i]); where a query sees nothing its top is -inf."""
    for j in range(count):
        for i in range(tops.size):
            base = tops[i] if tops[i] > -np.inf else like(tops, 0)
            scores[j, i] = exp(scores[j, i] - base)


@register_jitable
def drop(weights, chance, sample, first, pitch, rows, count):
    """Multiplies weights by dropout's factors; that of [j, i] is the sample's number
    first + i * pitch + j."""
    stream, step = u32(chance.stream[0]), u32(chance.step[0])
    number = u32(chance.offset[0] + sample)
    for i in range(rows):
        element = first + i * pitch
        words = philox(u32(element // 4), number, step, stream, chance.key0, chance.key1)
        for j in range(count):
            if (element + j) % 4 == 0:
                words = philox(
                    u32((element + j) // 4), number, step, stream, chance.key0, chance.key1
                )
            kept = words[(element + j) % 4] >= chance.threshold
            weights[j, i] *= chance.factor if kept else like(weights, 0)

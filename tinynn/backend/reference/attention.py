"""Attention of queries to keys and values, and its gradients, by the whole matrix of scores.

The kernels compute the same in blocks, without that matrix. With P = softmax(scores), g the
gradient of the result and D the factors of dropout (0, or 1 / (1 - p)):

    out = (P D) V       d V = (P D)^T g      d P = D (g V^T)
    d scores = P (d P - sum(P d P))          where sum(P d P) = sum(g out), row by row
    d Q = scale d scores K                   d K = scale d scores^T Q
"""

from __future__ import annotations

from typing import Any

from tinynn.backend.devices import array_module
from tinynn.backend.reference.dropout import dropout
from tinynn.backend.reference.precision import narrowed, widened

Array = Any


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
) -> tuple[Array, Array]:
    """softmax(scale query key^T + mask) value, and the logarithm of the softmax's sum.

    Arguments:
        query: [B, H, L, E] float.
        key, value: [B, H / group, S, E] and [B, H / group, S, Ev]; head h of query attends to
            head h // group of them.
        mask: None, or [B or 1, H or 1, L or 1, S or 1]: bool, true where attention is allowed, or
            float, added to the scores.
        is_causal: row i sees the columns j <= i only.
        window: of these only j > i - window.
        sinks: and the first `sinks` columns whatever the window says.
        p, seed, stream, step, offset: the weights [B, H, L, S] go through dropout with these, its
            key being the seed.

    Returns (out, lse): [B, H, L, Ev] in query's dtype, and [B, H, L] float32 (float64 for
    float64). A row that sees no column has out 0 and lse -inf.
    """
    scores = _scores(query, key, mask, scale, is_causal, window, sinks)
    xp = array_module(scores)
    top = scores.max(axis=-1, keepdims=True) if key.shape[2] else _like_rows(scores, -xp.inf)
    base = xp.where(top == -xp.inf, 0, top).astype(scores.dtype)
    powers = xp.exp(scores - base)
    total = powers.sum(axis=-1, keepdims=True)
    lse = (xp.log(total) + base)[..., 0]
    weights = powers / xp.where(total == 0, 1, total).astype(powers.dtype)
    if p:
        weights = dropout(weights, p=p, key=seed, stream=stream, step=step, offset=offset)
    result = xp.matmul(weights, _per_head(widened(value), query))
    return narrowed(result, query, out), lse


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
) -> tuple[Array, Array, Array]:
    """The gradients of query, key and value.

    g is that of `result`, [B, H, L, Ev]; result and lse are what `attention` returned.
    """
    scores = _scores(query, key, mask, scale, is_causal, window, sinks)
    xp = array_module(scores)
    base = xp.where(lse == -xp.inf, 0, lse).astype(scores.dtype)[..., None]
    weights = xp.exp(scores - base)
    g_wide, q, k = widened(g), widened(query), widened(key)
    dropped, g_weights = weights, xp.matmul(g_wide, _turned(_per_head(widened(value), query)))
    if p:
        counters = {"key": seed, "stream": stream, "step": step, "offset": offset}
        dropped, g_weights = (dropout(x, p=p, **counters) for x in (weights, g_weights))
    mean = (g_wide * widened(result)).sum(axis=-1, keepdims=True)
    g_scores = weights * (g_weights - mean) * scale
    g_query = xp.matmul(g_scores, _per_head(k, query))
    g_key = _sum_group(xp.matmul(_turned(g_scores), q), key)
    g_value = _sum_group(xp.matmul(_turned(dropped), g_wide), value)
    return narrowed(g_query, query), narrowed(g_key, key), narrowed(g_value, value)


def _scores(
    query: Array,
    key: Array,
    mask: Array | None,
    scale: float,
    is_causal: bool,
    window: int | None,
    sinks: int,
) -> Array:
    """[B, H, L, S], -inf where a row does not see a column."""
    xp, wide = array_module(query), widened(query)
    scores = xp.matmul(wide * scale, _turned(_per_head(widened(key), query)))
    if is_causal:
        i, j = xp.arange(query.shape[2])[:, None], xp.arange(key.shape[2])
        seen = j <= i
        if window is not None:
            seen = seen & ((j > i - window) | (j < sinks))
        scores = xp.where(seen, scores, -xp.inf).astype(wide.dtype)
    if mask is None:
        return scores
    if mask.dtype == bool:
        return xp.where(mask, scores, -xp.inf).astype(wide.dtype)
    return scores + widened(mask).astype(wide.dtype)


def _turned(x: Array) -> Array:
    return x.swapaxes(-1, -2)


def _per_head(x: Array, query: Array) -> Array:
    """[B, H / group, S, E] -> [B, H, S, E]"""
    group = query.shape[1] // x.shape[1] if x.shape[1] else 1
    return x if group == 1 else array_module(x).repeat(x, group, axis=1)


def _sum_group(g: Array, like: Array) -> Array:
    """[B, H, S, E] -> [B, H / group, S, E], summed over the group."""
    if g.shape == like.shape:
        return g
    batch, heads, *rest = like.shape
    return g.reshape(batch, heads, g.shape[1] // heads, *rest).sum(axis=2)


def _like_rows(scores: Array, value: float) -> Array:
    xp = array_module(scores)
    return xp.full((*scores.shape[:-1], 1), value, dtype=scores.dtype)

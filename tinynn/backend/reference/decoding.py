"""Attention of new tokens to a cache of keys and values that lies in blocks."""

from __future__ import annotations

from typing import Any

from tinynn.backend.devices import array_module, backend_of
from tinynn.backend.reference.precision import widened

Array = Any


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
) -> tuple[Array, Array]:
    """Attention of the last tokens of each sequence to its keys and values.

    Arguments:
        query: [tokens, heads, head_dim] float32, float16 or bfloat16, sequence after sequence.
        query_starts: [sequences + 1] int32; the tokens of sequence s are
            query[query_starts[s] : query_starts[s + 1]], and they are its last ones.
        keys, values: [blocks, kv_heads, block_size, head_dim], of a float dtype or int8; head h of
            query attends to head h // (heads // kv_heads).
        key_scales, value_scales: [blocks, kv_heads, block_size] float32, what each int8 vector is
            multiplied by; None for floats.
        block_tables: [sequences, most blocks] int32, the blocks of each sequence in order; -1
            where no token sees one.
        lengths: [sequences] int32, keys of each sequence, those of the new tokens included.
        window: a token sees that many keys, its own the last of them; None for all.
        sinks: and the first `sinks` keys, whatever the window says.
        split_size: keys that are attended to in one piece, where the kernel is to cut at fixed
            places, so that a sequence's result does not depend on the batch; else it chooses.

    Returns (out, lse): [tokens, heads, head_dim] in query's dtype, and [tokens, heads] float32. A
    token that sees no key has out 0 and lse -inf.
    """
    xp = array_module(query)
    result = xp.zeros(query.shape, dtype=query.dtype) if out is None else out
    lse = xp.full(query.shape[:2], -xp.inf, dtype="float32")
    group = query.shape[1] // keys.shape[1]
    to_host = backend_of(query).to_host
    starts, counts = to_host(query_starts).tolist(), to_host(lengths).tolist()
    tables = to_host(block_tables)
    for s, length in enumerate(counts):
        first, last = starts[s], starts[s + 1]
        result[first:last] = 0
        for token in range(first, last):
            places = _seen(length - (last - token), window, sinks)
            if not places:
                continue
            k = _gathered(keys, key_scales, tables[s], places).repeat(group, axis=0)
            v = _gathered(values, value_scales, tables[s], places).repeat(group, axis=0)
            scores = xp.matmul(k, widened(query[token])[..., None] * scale)[..., 0]
            top = scores.max(axis=-1, keepdims=True)
            powers = xp.exp(scores - top)
            total = powers.sum(axis=-1, keepdims=True)
            mixed = xp.matmul((powers / total)[:, None], v)[:, 0]
            result[token] = mixed.astype(query.dtype)
            lse[token] = (xp.log(total) + top)[:, 0]
    return result, lse


def _seen(position: int, window: int | None, sinks: int) -> list[int]:
    """The positions of the keys that the token at a position sees."""
    first = 0 if window is None else max(position - window + 1, 0)
    return [*range(min(sinks, first, position + 1)), *range(first, position + 1)]


def _gathered(cache: Array, scales: Array | None, table: Array, places: list[int]) -> Array:
    """The vectors at some positions of a sequence: [kv_heads, places, head_dim] float32."""
    xp, size = array_module(cache), cache.shape[2]
    blocks = xp.asarray([int(table[place // size]) for place in places])
    offsets = xp.asarray([place % size for place in places])
    found = widened(cache[blocks, :, offsets])  # [places, kv_heads, head_dim]
    if scales is not None:
        found = found * scales[blocks, :, offsets][..., None]
    return found.swapaxes(0, 1)

"""Caches in blocks, with NaN wherever no token may look."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tests.kernels.cuda.comparison import dtype_of

NOWHERE = 10**6  # a block that does not exist


class Paged(NamedTuple):
    """The arrays of a call of decode_attention, in its order."""

    query: Any
    query_starts: Any
    keys: Any
    values: Any
    key_scales: Any
    value_scales: Any
    block_tables: Any
    lengths: Any


def paged(
    counts: list[int],
    lengths: list[int],
    *,
    heads: int = 2,
    kv_heads: int = 1,
    head_dim: int = 64,
    block_size: int = 16,
    query: str = "float32",
    cache: str = "float32",
    window: int | None = None,
    sinks: int = 0,
    size: float = 1.0,
    spare: int = 1,
    seed: int = 0,
) -> Paged:
    """Sequences with so many new tokens and keys; what no token sees under the window is NaN.

    Entries of the tables whose blocks no token sees are -1 or lead nowhere. An int8 cache has NaN
    for the scales there, and 127 for the numbers.

    Arguments:
        size: of the queries, whose numbers are normally distributed.
        spare: by how many entries the tables are wider than any sequence needs.
    """
    rng = np.random.default_rng(seed)
    width = max(-(-max(lengths, default=0) // block_size), 0) + spare
    shape = (len(lengths) * width + 1, kv_heads, block_size, head_dim)
    keys, values = np.full(shape, np.nan, np.float32), np.full(shape, np.nan, np.float32)
    tables = np.where(np.arange(len(lengths) * width) % 2, -1, NOWHERE).astype(np.int32)
    tables = tables.reshape(len(lengths), width)
    ids = rng.permutation(shape[0])
    for s, (count, length) in enumerate(zip(counts, lengths, strict=True)):
        positions = np.arange(length - count, length)[:, None]
        places = np.arange(length)
        seen = places <= positions
        if window is not None:
            seen &= (places > positions - window) | (places < sinks)
        for place in np.flatnonzero(seen.any(axis=0)):
            block = ids[s * width + place // block_size]
            tables[s, place // block_size] = block
            for array in (keys, values):
                array[block, :, place % block_size] = rng.standard_normal((kv_heads, head_dim))
    starts = np.cumsum([0, *counts]).astype(np.int32)
    q = (size * rng.standard_normal((starts[-1], heads, head_dim))).astype(dtype_of(query))
    scales: list[Any] = [None, None]
    if cache == "int8":
        scales = [np.abs(array).max(axis=-1) / np.float32(127) for array in (keys, values)]
        with np.errstate(invalid="ignore"):
            keys, values = (
                np.nan_to_num(np.rint(array / scale[..., None]), nan=127.0)
                for array, scale in zip((keys, values), scales, strict=True)
            )
    keys, values = keys.astype(dtype_of(cache)), values.astype(dtype_of(cache))
    return Paged(q, starts, keys, values, *scales, tables, np.array(lengths, np.int32))

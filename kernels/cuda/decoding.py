"""Attention of new tokens to a cache in blocks: keys and values are read once for their group.

The keys of a sequence are cut into splits where there are too few sequences and heads to keep the
GPU busy; the results of the splits are then merged. How many is found without the lengths, which
are in the GPU's memory: from the width of the tables, which are as wide as the longest sequence
needs. A split has at least 256 keys, for its result is written and read again in float32: that is
3% of what is read of a cache of 16 bits for groups of four heads. Long sequences are cut further,
into splits of 2,048 keys or more: the fewer blocks there are, the longer the last ones work alone
(64 sequences of 8,192 keys took 640 us on an H200 in whole, and 543 in four splits each).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynn.kernels.cuda import compiler
from tinynn.kernels.cuda.arrays import TYPES, Array, aligned
from tinynn.kernels.cuda.merging import merge_into

_QUERIES = {name: TYPES[name] for name in ("float32", "float16", "bfloat16")}
_CACHES = {**_QUERIES, "int8": "int8_t"}
_TILE = 16  # queries that go through the keys together
_STRIP = 16  # keys that are gone through together
# Keys of a split, at least -> blocks that a multiprocessor may get by such splits.
_BLOCKS_PER_MULTIPROCESSOR = {256: 4, 2048: 24}
_MOST_SPLITS = 128

_WIDTHS = (64, 128, 256)  # a head takes the room of the next of them
_SOURCES = {"float32": ("decoding_32_bit.cu", "decode_32_bit")}
_OTHERS = ("decoding.cu", "decode_16_bit")
INSTANTIATIONS = [
    (
        _SOURCES.get(cache, _OTHERS)[0],
        f"{_SOURCES.get(cache, _OTHERS)[1]}<{query}, {type_}, {width}>",
    )
    for cache, type_ in _CACHES.items()
    for query in _QUERIES.values()
    for width in _WIDTHS
]


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
    arrays = (query_starts, block_tables, lengths)
    if not _takes(query, keys, values, key_scales, value_scales, arrays, out):
        return NotImplemented
    tokens, heads, head_dim = query.shape
    kv_heads, block_size = keys.shape[1:3]
    sequences, table_width = block_tables.shape
    out = np.empty(query.shape, query.dtype, like=query) if out is None else out
    lse = np.empty((tokens, heads), np.float32, like=query)
    if not lse.size:
        return out, lse
    tiles = tokens // (_TILE // (heads // kv_heads)) + sequences
    splits, fixed = _splits(tiles * kv_heads, table_width * block_size, split_size)
    parts, part_lses = None, lse
    if splits > 1:
        parts = np.empty((splits, *query.shape), np.float32, like=query)
        part_lses = np.empty((splits, tokens, heads), np.float32, like=query)
    width = next(width for width in _WIDTHS if width >= head_dim)
    file, kernel = _SOURCES.get(keys.dtype.name, _OTHERS)
    types = f"{_QUERIES[query.dtype.name]}, {_CACHES[keys.dtype.name]}"
    warps, shared = _shared_memory(width, keys.dtype, query.dtype)
    compiler.load(file, f"{kernel}<{types}, {width}>", shared)(
        (tiles, kv_heads, splits),
        (32 * warps,),
        (
            query,
            query_starts,
            keys,
            values,
            key_scales,
            value_scales,
            block_tables,
            lengths,
            None if splits > 1 else out,
            parts,
            part_lses,
            *map(np.int32, (tokens, heads, kv_heads, head_dim, sequences, table_width)),
            np.int32(block_size.bit_length() - 1),
            np.int32(2**30 if window is None else min(window, 2**30)),
            np.int32(min(sinks, 2**30)),
            np.int32(fixed),
            np.float32(scale),
        ),
        shared_mem=shared,
    )
    if splits > 1:
        merge_into(parts, part_lses, out, lse)
    return out, lse


def _takes(
    query: Array,
    keys: Array,
    values: Array,
    key_scales: Array | None,
    value_scales: Array | None,
    integers: tuple[Array, ...],
    out: Array | None,
) -> bool:
    """Whether the kernels can compute with these arrays."""
    heads, head_dim = query.shape[1:]
    kv_heads, block_size = keys.shape[1:3]
    if query.dtype.name not in _QUERIES or keys.dtype.name not in _CACHES:
        return False
    if values.dtype != keys.dtype or (out is not None and out.dtype != query.dtype):
        return False
    if not kv_heads or heads % kv_heads or heads // kv_heads > _TILE:
        return False
    if head_dim % 16 or not 0 < head_dim <= _WIDTHS[-1]:
        return False
    if block_size % _STRIP or block_size & (block_size - 1):
        return False
    if any(array.dtype != np.int32 for array in integers):
        return False
    scales = (key_scales, value_scales) if keys.dtype == np.int8 else ()
    if any(array is None or array.dtype != np.float32 for array in scales):
        return False
    copied = (keys, values, *scales)
    given = (query, *copied, *integers) if out is None else (query, *copied, *integers, out)
    return all(array.flags.c_contiguous for array in given) and aligned(16, *copied, out)


def _splits(items: int, most_keys: int, split_size: int | None) -> tuple[int, int]:
    """(into how many splits the keys are cut, strips of a split of fixed size or 0).

    Arguments:
        items: pairs of a tile of queries and a head, each of which takes a block a split.
        most_keys: of any sequence.
    """
    if split_size is not None:
        strips = max(-(-split_size // _STRIP), 1)
        return max(-(-most_keys // (strips * _STRIP)), 1), strips
    multiprocessors = compiler.current_device()[1]
    wanted = (
        min(blocks * multiprocessors // items, -(-most_keys // least))
        for least, blocks in _BLOCKS_PER_MULTIPROCESSOR.items()
    )
    return max(min(max(wanted), _MOST_SPLITS), 1), 0


def _shared_memory(width: int, cache: Any, query: Any) -> tuple[int, int]:
    """(warps of a block, bytes of its dynamic shared memory), as Ring in paged.cuh has them."""
    row = width * cache.itemsize
    warps = 4 if row <= 256 else 1024 // row
    stages = 3 if row <= 128 else 2
    stage = 2 * _STRIP * (row + 16) + (2 * _STRIP * 4 if cache.itemsize == 1 else 0)
    if cache.itemsize == 4:
        queries = _TILE * width * 4
    else:
        exact = query == cache or (query.name != "float32" and cache.name != "bfloat16")
        queries = (1 if exact else 2) * _TILE * (width + 8) * 2
    return warps, warps * stages * stage + queries

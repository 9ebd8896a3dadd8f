"""Keys and values that lie in blocks: what an operation on a paged cache is given, and must check.

A sequence's keys lie in blocks of a pool, in any order; its row of the table says in which.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinynn.backend.devices import backend_of, device_of
from tinynn.backend.dtypes import is_floating

if TYPE_CHECKING:
    from collections.abc import Callable

Array = Any

SMALLEST_BLOCK = 16
SMALLEST_HEAD, LARGEST_HEAD, HEAD_STEP = 32, 256, 16
LARGEST_GROUP = 16  # heads of a query that attend to one head of the cache


class PagedKV(NamedTuple):
    """The keys and values of some sequences, in one layer: arrays, with no names of their own.

    Attributes:
        keys, values: [blocks, kv_heads, block_size, head_dim] float32, float16, bfloat16 or int8.
        key_scales, value_scales: [blocks, kv_heads, block_size] float32, what each int8 vector is
            multiplied by; None for floats.
        block_tables: [sequences, most blocks] int32; entry i of a row is the block of the
            positions from i * block_size on, and -1 where there is none.
        lengths: [sequences] int32, how many positions are filled.
    """

    keys: Array
    values: Array
    key_scales: Array | None
    value_scales: Array | None
    block_tables: Array
    lengths: Array


def is_debugging() -> bool:
    """Whether the environment asks, with TINYNN_DEBUG=1, that tables are checked before use."""
    return os.environ.get("TINYNN_DEBUG", "0") not in ("", "0")


def check_block_size(name: str, block_size: int) -> None:
    """ValueError for what is no power of two, or less than 16."""
    if block_size < SMALLEST_BLOCK or block_size & (block_size - 1):
        raise ValueError(
            f"{name}: block_size must be a power of two and at least {SMALLEST_BLOCK}, got "
            f"{block_size}"
        )


def check_head_dim(name: str, head_dim: int) -> None:
    """ValueError for a size of heads that the kernels of caches are not built for."""
    if not SMALLEST_HEAD <= head_dim <= LARGEST_HEAD or head_dim % HEAD_STEP:
        raise ValueError(
            f"{name}: head_dim must be a multiple of {HEAD_STEP} from {SMALLEST_HEAD} to "
            f"{LARGEST_HEAD}, got {head_dim}"
        )


def check_paged(name: str, cache: PagedKV) -> None:
    """Raises what is wrong with shapes, dtypes and devices; reads no array.

    ValueError for shapes, TypeError for dtypes, RuntimeError for memory that is not contiguous or
    lies on several devices.
    """
    keys = cache.keys
    if keys.ndim != 4:
        raise ValueError(
            f"{name}: keys must be [blocks, kv_heads, block_size, head_dim], their shape is "
            f"{keys.shape}"
        )
    if not (is_floating(keys.dtype) or keys.dtype == np.int8) or keys.dtype == np.float64:
        raise TypeError(
            f"{name}: keys must be float32, float16, bfloat16 or int8, got {keys.dtype}"
        )
    check_block_size(name, keys.shape[2])
    check_head_dim(name, keys.shape[3])
    _check_array(name, cache, "values", keys.shape, keys.dtype)
    for scales in ("key_scales", "value_scales"):
        if keys.dtype == np.int8:
            _check_array(name, cache, scales, keys.shape[:3], np.dtype(np.float32))
        elif getattr(cache, scales) is not None:
            raise TypeError(f"{name}: {scales} are for int8, the keys are {keys.dtype}")
    sequences = cache.lengths.shape[0] if cache.lengths.ndim else 0
    _check_array(name, cache, "lengths", (sequences,), np.dtype(np.int32))
    width = cache.block_tables.shape[-1] if cache.block_tables.ndim else 0
    _check_array(name, cache, "block_tables", (sequences, width), np.dtype(np.int32))


def check_query(name: str, query: Array, query_starts: Array, cache: PagedKV) -> None:
    """Raises what is wrong with the queries of new tokens, beside a cache that was checked.

    ValueError for shapes, TypeError for dtypes, RuntimeError for several devices.
    """
    _, kv_heads, _, head_dim = cache.keys.shape
    if query.ndim != 3 or query.shape[2] != head_dim:
        raise ValueError(
            f"{name}: query must be [tokens, heads, {head_dim}] as the keys are, its shape is "
            f"{query.shape}"
        )
    heads = query.shape[1]
    if not heads or heads % kv_heads or heads // kv_heads > LARGEST_GROUP:
        raise ValueError(
            f"{name}: query must have 1 to {LARGEST_GROUP} heads for each of the {kv_heads} heads "
            f"of the keys, it has {heads}"
        )
    _check_floats(name, "query", query)
    starts = (cache.lengths.shape[0] + 1,)
    if query_starts.shape != starts:
        raise ValueError(
            f"{name}: query_starts must have the shape {starts}, one more than the sequences, it "
            f"is {query_starts.shape}"
        )
    if query_starts.dtype != np.int32:
        raise TypeError(f"{name}: query_starts must be int32, got {query_starts.dtype}")
    _check_device(name, cache, query=query, query_starts=query_starts)


def check_new(name: str, key: Array, value: Array, slots: Array, cache: PagedKV) -> None:
    """Raises what is wrong with keys and values to append, beside a cache that was checked.

    ValueError for shapes, TypeError for dtypes, RuntimeError for several devices.
    """
    _, kv_heads, _, head_dim = cache.keys.shape
    if slots.ndim != 1 or slots.dtype != np.int64:
        raise (ValueError if slots.ndim != 1 else TypeError)(
            f"{name}: slots must be [tokens] int64, got {slots.dtype} of shape {slots.shape}"
        )
    shape = (slots.shape[0], kv_heads, head_dim)
    for argument, array in (("key", key), ("value", value)):
        if array.shape != shape:
            raise ValueError(
                f"{name}: {argument} must have the shape {shape}, [tokens, kv_heads, head_dim], it "
                f"is {array.shape}"
            )
        _check_floats(name, argument, array)
    if key.dtype != value.dtype:
        raise TypeError(f"{name}: key is {key.dtype}, but value is {value.dtype}")
    _check_device(name, cache, key=key, value=value, slots=slots)


def check_window(name: str, window: int | None, sinks: int, split_size: int | None) -> None:
    """ValueError for a window, sinks or pieces that cannot be."""
    if window is not None and window < 1:
        raise ValueError(f"{name}: window must be at least 1 or None, got {window}")
    if sinks < 0 or (sinks and window is None):
        raise ValueError(f"{name}: sinks go with a window and are 0 or more, got {sinks}")
    if split_size is not None and split_size < 1:
        raise ValueError(f"{name}: split_size must be at least 1 or None, got {split_size}")


def _check_floats(name: str, argument: str, array: Array) -> None:
    if array.dtype.name not in ("float32", "float16", "bfloat16"):
        raise TypeError(
            f"{name}: {argument} must be float32, float16 or bfloat16, got {array.dtype}"
        )


def _check_device(name: str, cache: PagedKV, **arrays: Array) -> None:
    for argument, array in arrays.items():
        if device_of(array) != device_of(cache.keys):
            raise RuntimeError(
                f"{name}: keys are on {device_of(cache.keys)} and {argument} on {device_of(array)}"
            )


def _check_array(name: str, cache: PagedKV, field: str, shape: Any, dtype: Any) -> None:
    """That a field of the cache has this shape and dtype, and lies where the keys do."""
    array = getattr(cache, field)
    if array is None:
        raise TypeError(f"{name}: {field} are missing; keys in int8 need them")
    if array.shape != shape:
        raise ValueError(f"{name}: {field} must have the shape {shape}, it is {array.shape}")
    if array.dtype != dtype:
        raise TypeError(f"{name}: {field} must be {dtype}, got {array.dtype}")
    _check_device(name, cache, **{field: array})
    if not array.flags.c_contiguous:
        raise RuntimeError(f"{name}: {field} must be contiguous, the strides are {array.strides}")


def check_tables(
    name: str,
    cache: PagedKV,
    query_starts: Array,
    tokens: int,
    window: int | None = None,
    sinks: int = 0,
) -> None:
    """Raises IndexError for tables, lengths or starts that would lead out of the arrays.

    For debug mode: it copies tables to the host and looks at each entry. A kernel looks at none.

    Arguments:
        query_starts: [sequences + 1] int32, where each sequence's new tokens begin.
        tokens: how many new tokens there are.
        window, sinks: those of the call; blocks that no token sees may be missing.
    """
    to_host = backend_of(cache.keys).to_host
    tables, lengths, starts = map(to_host, (cache.block_tables, cache.lengths, query_starts))
    blocks, _, size, _ = cache.keys.shape
    _first(
        name,
        (lengths < 0) | (lengths > tables.shape[1] * size),
        lambda s: (
            f"sequence {s} has length {lengths[s]}, but its table holds {tables.shape[1]} blocks "
            f"of {size}"
        ),
    )
    if starts.shape != (len(lengths) + 1,):
        raise IndexError(
            f"{name}: query_starts must have {len(lengths) + 1} entries, its shape is "
            f"{starts.shape}"
        )
    if starts[0] != 0 or starts[-1] != tokens or (np.diff(starts) < 0).any():
        raise IndexError(
            f"{name}: query_starts must rise from 0 to the {tokens} tokens, got {starts.tolist()}"
        )
    needed = _seen_blocks(tables.shape[1], lengths, np.diff(starts), size, window, sinks)
    _first(
        name,
        (tables >= blocks) | (tables < np.where(needed, 0, -1)),
        lambda s, i: (
            f"entry {i} of the table of sequence {s} is block {tables[s, i]}, of blocks 0 to "
            f"{blocks - 1}"
        ),
    )


def check_slots(name: str, cache: PagedKV, slots: Array) -> None:
    """IndexError for a slot beyond the blocks; negative ones are not written. For debug mode."""
    slots = backend_of(cache.keys).to_host(slots)
    end = cache.keys.shape[0] * cache.keys.shape[2]
    _first(
        name,
        slots >= end,
        lambda token: f"the slot of token {token} is {slots[token]}, of slots 0 to {end - 1}",
    )


def _seen_blocks(
    width: int, lengths: Any, counts: Any, size: int, window: int | None, sinks: int
) -> Any:
    """[sequences, width] bool: whether a new token sees a key in that entry's block."""
    firsts = np.arange(width) * size
    seen = firsts < lengths[:, None]
    if window is not None:
        oldest = lengths - counts - window + 1
        seen &= (firsts + size > oldest[:, None]) | (firsts < sinks)
    return seen & (counts > 0)[:, None]


def _first(name: str, bad: Any, say: Callable[..., str]) -> None:
    """IndexError for the first place that is bad, with what is to be said of it."""
    if bad.any():
        place = np.unravel_index(int(bad.argmax()), bad.shape)
        raise IndexError(f"{name}: {say(*map(int, place))}")

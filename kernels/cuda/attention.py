"""Attention and its gradients in tiles: the matrix of scores is never in memory."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tinynn.kernels.cuda import compiler
from tinynn.kernels.cuda.arrays import THREADS, TYPES, Array, aligned, uniform
from tinynn.kernels.cuda.philox import counters

_SOURCE = "attention.cu"
_TYPES = {name: TYPES[name] for name in ("float32", "float16", "bfloat16")}
_WIDTHS = (64, 128, 256)  # a row takes the room of the next of them
_MOST_BLOCKS = 65535  # of the second and the third axis of a grid
_TILED = ("attention", "attention_backward_queries", "attention_backward_keys")
INSTANTIATIONS = [
    *[
        (_SOURCE, f"{kernel}<{type_}, {width}>")
        for kernel in _TILED
        for type_ in _TYPES.values()
        for width in _WIDTHS
    ],
    *[(_SOURCE, f"attention_means<{type_}>") for type_ in _TYPES.values()],
]


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
    """(result, logarithms of the sums); see the reference of the same name."""
    if not _takes(query, key, value, mask, out):
        return NotImplemented
    shape = (*query.shape[:3], value.shape[3])
    out = np.empty(shape, query.dtype, like=query) if out is None else out
    lse = np.empty(shape[:3], np.float32, like=query)
    causality = (is_causal, window, sinks)
    random = (p, *counters(seed, stream, step, offset))
    _launch(
        "attention",
        (query, key, value),
        mask,
        (out, lse),
        (query, key, value, scale, causality, random),
        query.shape[1:3],
        3,
    )
    return out, lse


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
    if not (_takes(query, key, value, mask, result) and uniform(g, result) and uniform(lse)):
        return NotImplemented
    g_query, g_key, g_value = (np.empty_like(array) for array in (query, key, value))
    means = np.empty(lse.shape, np.float32, like=lse)
    compiler.load(_SOURCE, f"attention_means<{_TYPES[g.dtype.name]}>")(
        (-(-32 * lse.size // THREADS),),
        (THREADS,),
        (g, result, means, np.int64(lse.size), np.int32(g.shape[-1])),
    )
    causality = (is_causal, window, sinks)
    problem = (query, key, value, scale, causality, (p, *counters(seed, stream, step, offset)))
    given = (g, query, key, value)
    rows = (query.shape[1:3], key.shape[1:3])
    _launch(_TILED[1], given, mask, (lse, means, g_query), problem, rows[0], 4)
    _launch(_TILED[2], given, mask, (lse, means, g_key, g_value), problem, rows[1], 4)
    return g_query, g_key, g_value


def _takes(query: Array, key: Array, value: Array, mask: Array | None, out: Array | None) -> bool:
    """Whether the kernels can compute with these arrays."""
    if query.dtype.name not in _TYPES or not uniform(query, key, value, out):
        return False
    if max(query.shape[3], value.shape[3]) > _WIDTHS[-1] or max(query.shape[:2]) > _MOST_BLOCKS:
        return False
    if mask is not None and not (mask.dtype == bool or mask.dtype.name in _TYPES):
        return False
    return all(prod(array.shape) > 0 for array in (query, key, value))


def _launch(
    kernel: str,
    before: tuple[Array, ...],
    mask: Array | None,
    after: tuple[Array, ...],
    problem: tuple[Any, ...],
    rows: tuple[int, int],
    tiles: int,
) -> None:
    """Launches a kernel of tiles of heads' rows.

    Arguments:
        before, after: its arguments before the mask and behind it.
        problem: query, key and value, the scale, what is_causal, window and sinks say, and the
            random numbers: p, and what `counters` gives.
        rows: (heads, rows of each) that its grid goes through.
        tiles: how many tiles of rows it keeps in shared memory.
    """
    query, key, value, scale, (is_causal, window, sinks), (p, *random) = problem
    batch, heads, queries, size = query.shape
    kv_heads, keys, value_size = key.shape[1], key.shape[2], value.shape[3]
    width = next(width for width in _WIDTHS if width >= max(size, value_size))
    tile = 32 if width <= 128 else 16
    weights = 2 if kernel == _TILED[2] else 1
    shared = 4 * (tiles * tile * (width + 4) + weights * tile * (tile + 4))
    arrays = (*before, *after)
    grouped = size % 4 == 0 and value_size % 4 == 0 and aligned(16, *arrays)
    masks, steps = _mask(mask)
    name = f"{kernel}<{_TYPES[query.dtype.name]}, {width}>"
    compiler.load(_SOURCE, name, shared)(
        (-(-rows[1] // tile), rows[0], batch),
        (4 * tile,),
        (
            *before,
            *masks,
            *after,
            np.bool_(grouped),
            *map(np.int32, (heads, kv_heads, queries, keys, size, value_size)),
            np.float32(scale),
            np.bool_(is_causal),
            np.int32(2**30 if window is None else min(window, 2**30)),
            np.int32(min(sinks, 2**30)),
            *map(np.int64, steps),
            np.uint64(round(p * 2**32)),
            np.float32(1 / (1 - p) if p < 1 else 0),
            *random,
        ),
        shared_mem=shared,
    )


def _mask(mask: Array | None) -> tuple[tuple[Array | None, Array | None], tuple[int, ...]]:
    """(the mask of bools, or None, that of floats, or None), and steps from element to element."""
    if mask is None:
        return (None, None), (0, 0, 0, 0)
    mask = mask if mask.flags.c_contiguous else mask.copy()
    steps = [
        0 if size == 1 else stride // mask.itemsize
        for size, stride in zip(mask.shape, mask.strides, strict=True)
    ]
    if mask.dtype == bool:
        return (mask, None), tuple(steps)
    return (None, mask.astype(np.float32, copy=False)), tuple(steps)

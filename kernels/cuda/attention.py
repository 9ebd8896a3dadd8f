"""Attention and its gradients in tiles: the matrix of scores is never in memory."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tinynn.kernels.cuda import compiler
from tinynn.kernels.cuda.arrays import THREADS, TYPES, Array, aligned, uniform
from tinynn.kernels.cuda.philox import counters

_TYPES = {name: TYPES[name] for name in ("float32", "float16", "bfloat16")}
_MOST_BLOCKS = 65535  # of the second and the third axis of a grid

# On CUDA cores a row takes the room of the next of these widths, and on tensor cores, which are for
# numbers of 16 bits in groups of eight, of the next of those.
_SOURCE, _WIDTHS = "attention.cu", (64, 128, 256)
_SOURCE_16, _WIDTHS_16, _GROUP_16 = "attention_16_bit.cu", (64, 128), 8
_FORWARD, _QUERIES, _KEYS = _KINDS = ("", "_backward_queries", "_backward_keys")
INSTANTIATIONS = [
    *[
        (_SOURCE, f"attention{kind}<{type_}, {width}>")
        for kind in _KINDS
        for type_ in _TYPES.values()
        for width in _WIDTHS
    ],
    *[(_SOURCE, f"attention_means<{type_}>") for type_ in _TYPES.values()],
    *[
        (_SOURCE_16, f"attention_16_bit{kind}<{type_}, {width}>")
        for kind in _KINDS
        for type_ in ("__half", "__nv_bfloat16")
        for width in _WIDTHS_16
    ],
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
    random = (p, *counters(seed, stream, step, offset))
    problem = (query, key, value, scale, (is_causal, window, sinks), random)
    _launch(_FORWARD, (query, key, value), mask, (out, lse), problem)
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
    random = (p, *counters(seed, stream, step, offset))
    problem = (query, key, value, scale, (is_causal, window, sinks), random)
    given = (g, query, key, value)
    _launch(_QUERIES, given, mask, (lse, means, g_query), problem)
    _launch(_KEYS, given, mask, (lse, means, g_key, g_value), problem)
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
    kind: str,
    before: tuple[Array, ...],
    mask: Array | None,
    after: tuple[Array, ...],
    problem: tuple[Any, ...],
) -> None:
    """Launches a kernel.

    Arguments:
        kind: one of _KINDS.
        before, after: its arguments before the mask and behind it.
        problem: query, key and value, the scale, what is_causal, window and sinks say, and the
            random numbers: p, and what `counters` gives.
    """
    query, key, value, scale, (is_causal, window, sinks), (p, *random) = problem
    batch, heads, queries, size = query.shape
    kv_heads, keys, value_size = key.shape[1], key.shape[2], value.shape[3]
    arrays = (*before, *after)
    file, name, tile, shared, threads = _kernel(kind, query, value, arrays)
    masks, steps = _mask(mask)
    own_heads, rows = (kv_heads, keys) if kind == _KEYS else (heads, queries)
    grouped = size % 4 == 0 and value_size % 4 == 0 and aligned(16, *arrays)
    compiler.load(file, name, shared)(
        (-(-rows // tile), own_heads, batch),
        (threads,),
        (
            *before,
            *masks,
            *after,
            *([np.bool_(grouped)] if file == _SOURCE else []),
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


def _kernel(
    kind: str, query: Array, value: Array, arrays: tuple[Array, ...]
) -> tuple[str, str, int, int, int]:
    """(source, instantiation, rows of a block, bytes of its shared memory, threads)."""
    type_, sizes = _TYPES[query.dtype.name], (query.shape[3], value.shape[3])
    if (
        query.dtype.itemsize == 2
        and max(sizes) <= _WIDTHS_16[-1]
        and all(size % _GROUP_16 == 0 for size in sizes)
        and aligned(16, *arrays)
    ):
        width = next(width for width in _WIDTHS_16 if width >= max(sizes))
        rows = 64 + 4 * 64 if kind == _FORWARD else 2 * 64 + 4 * 32  # its own, and two stages
        name = f"attention_16_bit{kind}<{type_}, {width}>"
        return _SOURCE_16, name, 64, rows * (width + 8) * 2, 128
    width = next(width for width in _WIDTHS if width >= max(sizes))
    tile = 32 if width <= 128 else 16
    tiles, weights = (3, 1) if kind == _FORWARD else (4, 2 if kind == _KEYS else 1)
    shared = 4 * (tiles * tile * (width + 4) + weights * tile * (tile + 4))
    return _SOURCE, f"attention{kind}<{type_}, {width}>", tile, shared, 4 * tile


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

"""Calls of tinynn's attention to be timed, and the reading of memory that they are measured by."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

import tinynn as tn
import tinynn.nn.functional as F
from tinynn.backend.devices import Device, backend_for, transfer
from tinynn.inference import KVCache

Call = Callable[[], object]
PIECE = 64  # blocks that are filled with random numbers at a time


def decode(
    batch: int, length: int, heads: int, kv_heads: int, head_dim: int, dtype: str, device: str
) -> Call:
    """One new token for each of `batch` sequences, with `length` keys each in a cache."""
    cache = KVCache(
        1, kv_heads, head_dim, dtype=dtype, device=device, capacity=batch * length, block_size=64
    )
    fill(cache)
    sequences = [cache.start() for _ in range(batch)]
    paged = cache.batch(sequences, [length] * batch).paged(0)
    wide = dtype if dtype in ("float16", "bfloat16") and device != "cpu" else "float32"
    query = random((batch, heads, head_dim), device).to(wide)
    return finishing(lambda: F.decode_attention(query, paged), device)


def fill(cache: KVCache) -> None:
    """Random keys and values in all blocks."""
    rng = np.random.default_rng(0)
    for array in (cache.keys[0], cache.values[0]):
        for first in range(0, len(array), PIECE):
            part = array[first : first + PIECE]
            if array.dtype == np.int8:
                numbers = rng.integers(-127, 128, part.shape, np.int8)
            else:
                numbers = rng.standard_normal(part.shape, np.float32).astype(array.dtype)
            part[...] = transfer(numbers, cache.device)
    for scales in (cache.key_scales, cache.value_scales):
        if scales is not None:
            scales[...] = 0.01


def prefill(
    batch: int, length: int, heads: int, head_dim: int, device: str, *, train: bool = False
) -> Call:
    """Causal attention of `length` tokens to themselves; with gradients, if it trains."""
    dtype = "float32" if device == "cpu" else "bfloat16"
    shape = (batch, heads, length, head_dim)
    q, k, v = (random(shape, device, seed).to(dtype) for seed in range(3))
    if not train:
        return finishing(lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True), device)
    leaves = [tn.tensor(x.data, requires_grad=True) for x in (q, k, v)]
    g = random(shape, device, 3).to(dtype)

    def step() -> None:
        for leaf in leaves:
            leaf.grad = None
        F.scaled_dot_product_attention(*leaves, is_causal=True).backward(g)

    return finishing(step, device)


def read(count: int, device: str) -> Call:
    """Reads so many bytes on the CPU, on all threads; copies half as many to as many on a GPU."""
    if device != "cpu":
        xp = backend_for(Device(device)).xp
        source, target = xp.ones((2, count // 8), dtype="float32")
        return finishing(lambda: target.__setitem__(slice(None), source), device)
    array, add = np.ones(count // 4, np.float32), adder()
    pieces = np.linspace(0, array.size, 8 * tn.get_num_threads() + 1).astype(np.int64)
    return lambda: add(array, pieces)


@cache
def adder() -> Any:
    """The sum of an array, whose pieces are added up in vectors, on all threads."""
    import numba

    tn.nn.functional.softmax(tn.ones(1 << 10, 1 << 10), dim=-1)  # loads the threads' library
    numba.set_num_threads(min(tn.get_num_threads(), numba.config.NUMBA_NUM_THREADS))

    @numba.njit(parallel=True, fastmath=True)
    def add(array, pieces):
        total = np.float32(0)
        for piece in numba.prange(pieces.size - 1):
            part = array[pieces[piece] : pieces[piece + 1]]
            own = np.float32(0)
            for i in range(part.size):
                own += part[i]
            total += own
        return total

    return add


def random(shape: tuple[int, ...], device: str, seed: int = 0) -> tn.Tensor:
    """Standard normal numbers, the same on every device."""
    numbers = np.random.default_rng(seed).standard_normal(shape, np.float32)
    return tn.tensor(numbers, device=device)


def finishing(call: Call, device: str) -> Call:
    """The call; on a GPU, with what waits for it."""
    if device != "cpu":
        call.finish = backend_for(Device(device)).synchronize  # type: ignore[attr-defined]
    return call

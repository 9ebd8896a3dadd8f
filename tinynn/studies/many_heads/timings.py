"""What the number of heads does to the time of attention, at equal width."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tinynn.autograd.grad_mode import no_grad
from tinynn.autograd.tensor import Tensor
from tinynn.backend.threads import get_num_threads
from tinynn.backend.timing import compare
from tinynn.nn import functional as F
from tinynn.ops.conversion import host
from tinynn.ops.creation import tensor
from tinynn.ops.paged import PagedKV
from tinynn.studies.many_heads.task import Settings
from tinynn.studies.shared.workers import Place

__all__ = ["KINDS", "time_heads"]

KINDS = ("prefill", "decode")
BLOCK = 16
ROUND_SECONDS = 0.03


def time_heads(settings: Settings, seed: int, place: Place) -> dict[str, Any]:
    """Seconds of attention by kind, set, heads and round; every set has memory of its own."""
    timings: dict[str, Any] = {"threads": get_num_threads()}
    random = np.random.default_rng(seed)
    heads = [number for number in settings.heads if fits(settings.timed_width // number)]
    for kind, make in zip(KINDS, (prefill, decode), strict=True):
        sets = []
        for _ in range(settings.timing_sets):
            order = random.permutation(heads).tolist()
            calls = {str(number): make(settings, number, random, place) for number in order}
            waits = {"finish": partial(host, tensor(0.0, device=place.device))}
            sets.append(
                compare(calls, rounds=settings.timing_rounds, seconds=ROUND_SECONDS, **waits)
            )
        timings[kind] = sets
    return timings


def fits(head_dim: int) -> bool:
    """Whether the kernels of decoding take heads of that width."""
    return 32 <= head_dim <= 256 and head_dim % 16 == 0


def prefill(
    settings: Settings, heads: int, random: np.random.Generator, place: Place
) -> Callable[[], object]:
    """Causal attention of a text to itself."""
    shape = 1, heads, settings.prefill_tokens, settings.timed_width // heads
    q, k, v = (numbers(random, shape, place) for _ in range(3))

    def attend() -> Tensor:
        with no_grad():
            return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    return attend


def decode(
    settings: Settings, heads: int, random: np.random.Generator, place: Place
) -> Callable[[], object]:
    """Attention of one new token to a cache."""
    width = settings.timed_width // heads
    blocks = -(-settings.decode_context // BLOCK)
    keys, values = (numbers(random, (blocks, heads, BLOCK, width), place) for _ in range(2))
    table = tensor(np.arange(blocks, dtype=np.int32)[None], device=place.device)
    length = tensor(np.array([settings.decode_context], np.int32), device=place.device)
    cache = PagedKV(keys.data, values.data, None, None, table.data, length.data)
    query = numbers(random, (1, heads, width), place)

    def attend() -> object:
        with no_grad():
            return F.decode_attention(query, cache)

    return attend


def numbers(random: np.random.Generator, shape: tuple[int, ...], place: Place) -> Tensor:
    return tensor(random.standard_normal(shape).astype(np.float32), device=place.device)

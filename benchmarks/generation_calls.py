"""Calls of tinynn's language model to be timed: reading a prompt, and writing on from it."""

from __future__ import annotations

from collections.abc import Callable

from tinynn.generation import load
from tinynn.generation.steps import Steps
from tinynn.inference import KVCache

Call = Callable[[], object]


def tokens(count: int) -> list[int]:
    """Ids that both peers read: what they mean does not matter for time."""
    return [5 + place % 400 for place in range(count)]


def opened(
    path: str, format: str, cache_dtype: str, device: str, positions: int
) -> tuple[Steps, KVCache]:
    """A model and a cache for so many positions."""
    model = load(path, None if format == "none" else format, device)
    config = model.config
    cache = KVCache(
        config.num_layers,
        config.num_kv_heads,
        config.head_dim,
        dtype=cache_dtype,
        device=model.device,
        capacity=positions + 32,
    )
    return Steps(model, cache), cache


def prompt(path: str, format: str, cache_dtype: str, device: str, count: int) -> Call:
    """Reads a prompt of so many tokens and scores the next one."""
    steps, cache = opened(path, format, cache_dtype, device, count)
    slot = cache.start()

    def call() -> object:
        cache.truncate(slot, 0)
        return steps.scores(tokens(count), cache.batch([slot], [count]), [count - 1], 0)

    return call


def decode(
    path: str, format: str, cache_dtype: str, device: str, depth: int, new: int, texts: int
) -> Call:
    """Writes so many tokens to each text, behind `depth` that are in the cache."""
    steps, cache = opened(path, format, cache_dtype, device, texts * (depth + new + 32))
    slots = [cache.start() for _ in range(texts)]
    for slot in slots:
        steps.scores(tokens(depth), cache.batch([slot], [depth]), [depth - 1], 0)

    def call() -> None:
        for slot in slots:
            cache.truncate(slot, depth)
        for place in range(new):
            batch = cache.batch(slots, [1] * texts)
            scores = steps.scores([9 + place] * texts, batch, range(texts), 10**9)
            scores.argmax(axis=1)

    return call

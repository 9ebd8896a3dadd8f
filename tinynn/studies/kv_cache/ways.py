"""Three ways to the word that follows: everything computed anew, with a cache, with a window."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from tinynn.autograd.grad_mode import no_grad
from tinynn.inference import KVCache
from tinynn.ops.conversion import host
from tinynn.ops.creation import tensor
from tinynn.studies.kv_cache.task import Network, Settings

__all__ = ["CACHED", "RECOMPUTED", "WAYS", "WINDOWED", "Way", "generate", "peak_bytes", "way_of"]

Array = np.ndarray[Any, Any]

RECOMPUTED, CACHED, WINDOWED = WAYS = ("without a cache", "with a cache", "with a sliding window")


class Way(Protocol):
    """How logits come about."""

    def logits(self, words: list[int]) -> Array:
        """[vocabulary], of the word that follows."""

    def forget(self, count: int) -> None:
        """Takes back the last words, so that they can be given again."""

    def held(self) -> int:
        """Bytes of memory that are kept for the next word."""


class Recomputed:
    """Goes through the whole text for each word."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def logits(self, words: list[int]) -> Array:
        with no_grad():
            found = self.network(tensor([words]), only_last=True)
        logits: Array = np.asarray(host(found))[0, 0]
        return logits

    def forget(self, count: int) -> None:
        pass

    def held(self) -> int:
        return 0


class Cached:
    """Goes through the words that are new, and keeps their keys and values.

    Arguments:
        longest: how many words there may be.
        window, sinks: None and 0 keep all; with a window no more blocks are needed than it spans.
    """

    def __init__(
        self,
        network: Network,
        settings: Settings,
        longest: int,
        window: int | None = None,
        sinks: int = 0,
    ) -> None:
        self.network = network
        # A long prompt goes through a window in pieces, between which blocks are given back.
        self.most_at_once = longest if window is None else window
        capacity = longest if window is None else sinks + window + self.most_at_once
        self.cache = KVCache(
            settings.layers,
            settings.heads,
            settings.width // settings.heads,
            capacity=capacity + 32,  # for a block that is begun, on either side
            window=window,
            sinks=sinks,
        )
        self.sequence = self.cache.start()

    def logits(self, words: list[int]) -> Array:
        first = self.cache.length(self.sequence)
        while first < len(words):
            new = words[first : first + self.most_at_once]
            batch = self.cache.batch([self.sequence], [len(new)])
            with no_grad():
                found = self.network(tensor(new), cache=batch, only_last=True)
            first += len(new)
        logits: Array = np.asarray(host(found))[0]
        return logits

    def forget(self, count: int) -> None:
        self.cache.truncate(self.sequence, self.cache.length(self.sequence) - count)

    def held(self) -> int:
        pool = self.cache.pool
        return self.cache.nbytes // pool.capacity * (pool.capacity - pool.free)


def way_of(name: str, network: Network, settings: Settings, longest: int) -> Way:
    """One of WAYS, for a text that is to be as long as that."""
    if name == RECOMPUTED:
        return Recomputed(network)
    if name == CACHED:
        return Cached(network, settings, longest)
    return Cached(network, settings, longest, settings.window, settings.sinks)


def generate(way: Way, prompt: list[int], count: int) -> list[int]:
    """The most likely words, one after the other."""
    words = list(prompt)
    for _ in range(count):
        words.append(int(way.logits(words).argmax()))
    return words[len(prompt) :]


def peak_bytes(function: Callable[[], Any]) -> int:
    """The most memory that is taken for arrays, at any one time, while a function runs."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        function()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return max(peak - before, 0)

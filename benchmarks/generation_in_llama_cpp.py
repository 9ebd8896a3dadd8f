"""The calls of `generation_calls` by llama.cpp, through llama-cpp-python."""

from __future__ import annotations

import os
from collections.abc import Callable

from benchmarks.generation_calls import tokens

Call = Callable[[], object]


def opened(path: str, positions: int):
    """A model with as many threads as the benchmark allows."""
    from llama_cpp import Llama

    threads = int(os.environ["OMP_NUM_THREADS"])
    return Llama(path, n_ctx=positions, n_threads=threads, n_threads_batch=threads, verbose=False)


def prompt(path: str, count: int) -> Call:
    """Reads a prompt of so many tokens and scores the next one."""
    model = opened(path, count + 32)

    def call() -> None:
        model.n_tokens = 0
        model.eval(tokens(count))

    return call


def decode(path: str, depth: int, new: int, texts: int) -> Call:
    """Writes so many tokens behind `depth` that are in the cache, to one text."""
    assert texts == 1
    model = opened(path, depth + new + 32)
    model.eval(tokens(depth))

    def call() -> None:
        model.n_tokens = depth
        for place in range(new):
            model.eval([9 + place])

    return call

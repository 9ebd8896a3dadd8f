"""What steps are timed on: the sizes of the networks, and random inputs, for every engine the same.

A training loop calls its step with another batch each time, and so does every candidate: it goes
round a few batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

import numpy as np

MLP_SIZES = (784, 256, 128, 10)
GPT_SIZES = {"vocabulary": 65, "context": 64, "width": 128, "layers": 4, "heads": 4}
SGD_RATE = 0.1
ADAMW_RATE = 1e-3
BATCHES = 4

Arrays = tuple[np.ndarray, np.ndarray]
Step = Callable[[], object]


def images(batch: int, *shape: int) -> list[Arrays]:
    """Batches of images (batch, *shape) float32 and labels (batch,) int64."""
    generator = np.random.default_rng(0)
    return [
        (
            generator.standard_normal((batch, *shape), dtype=np.float32),
            generator.integers(0, MLP_SIZES[-1], batch),
        )
        for _ in range(BATCHES)
    ]


def texts(batch: int, context: int = GPT_SIZES["context"]) -> list[Arrays]:
    """Batches of tokens and of the tokens that follow, both (batch, context) int64."""
    generator = np.random.default_rng(0)
    size = (BATCHES, batch, context + 1)
    return [
        (text[:, :-1], text[:, 1:]) for text in generator.integers(0, GPT_SIZES["vocabulary"], size)
    ]


def mlp_batches(batch: int) -> list[Arrays]:
    return images(batch, MLP_SIZES[0])


def cnn_batches() -> list[Arrays]:
    return images(64, 1, 28, 28)


def gpt_batches() -> list[Arrays]:
    return texts(12)


def fed(step: Callable[[Any, Any], object], batches: Sequence[tuple[Any, Any]]) -> Step:
    """The step as a function without arguments: each call takes the next batch."""
    turn = cycle(batches)
    return lambda: step(*next(turn))

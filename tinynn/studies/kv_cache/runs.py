"""The network trained, and what each way takes for a word, by the length of the text."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinynn.autograd.tensor import Tensor
from tinynn.backend.random import manual_seed
from tinynn.backend.timing import compare
from tinynn.capture import compile as compile_step
from tinynn.nn import functional as F
from tinynn.ops.creation import tensor
from tinynn.optim import AdamW
from tinynn.optim.lr_scheduler import CosineAnnealingLR
from tinynn.studies.kv_cache.task import (
    PROMPT,
    TEXT,
    VOCABULARY,
    Network,
    Settings,
    sentence,
    words_of,
)
from tinynn.studies.kv_cache.ways import CACHED, WAYS, Way, generate, peak_bytes, way_of
from tinynn.studies.shared.workers import Place

__all__ = ["Task", "continuations", "measure_length", "run", "trained"]

# How many of the last losses of the training are told, as their mean.
LAST = 10


class Task(NamedTuple):
    """One network, and all that is measured of it."""

    settings: Settings
    seed: int


def run(place: Place, task: Task) -> dict[str, Any]:
    """The training, the continuations, and the measurements by length and way."""
    settings = task.settings
    network, losses = trained(settings, task.seed)
    return {
        "parameters": sum(parameter.data.size for parameter in network.parameters()),
        "vocabulary": len(VOCABULARY),
        "text": len(TEXT),
        "loss": float(np.mean(losses[-LAST:])),
        "prompt": PROMPT,
        "continuations": continuations(network, settings),
        "lengths": {
            str(length): measure_length(network, settings, length) for length in settings.lengths
        },
    }


def trained(settings: Settings, seed: int) -> tuple[Network, list[float]]:
    """The network, and its loss at each step."""
    manual_seed(seed)
    random = np.random.default_rng(seed)
    longest = max(*settings.lengths, len(PROMPT.split()) + settings.generated)
    network = Network(settings, max(longest, settings.trained_words) + 1)
    optimizer = AdamW(network.parameters(), lr=settings.rate, weight_decay=0.0)
    schedule = CosineAnnealingLR(optimizer, settings.steps)

    @compile_step
    def step(words: Tensor, following: Tensor) -> Tensor:
        logits = network(words)
        loss = F.cross_entropy(logits.reshape(-1, len(VOCABULARY)), following.reshape(-1))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    losses = []
    for _ in range(settings.steps):
        firsts = random.integers(0, len(TEXT), settings.batch_size)
        rows = np.array([words_of(int(n), settings.trained_words + 1) for n in firsts])
        losses.append(step(tensor(rows[:, :-1]), tensor(rows[:, 1:])).item())
        schedule.step()
    return network, losses


def continuations(network: Network, settings: Settings) -> dict[str, str]:
    """What each way has follow on the prompt."""
    prompt = [VOCABULARY.index(word) for word in PROMPT.split()]
    longest = len(prompt) + settings.generated
    return {
        name: sentence(
            generate(way_of(name, network, settings, longest), prompt, settings.generated)
        )
        for name in WAYS
    }


def measure_length(network: Network, settings: Settings, length: int) -> dict[str, Any]:
    """What each way takes for the word after so many, by its name; and whether it is the same."""
    words = words_of(0, length)
    ways: dict[str, Way] = {}
    for name in WAYS:
        ways[name] = way_of(name, network, settings, length)
        ways[name].logits(words[:-1])
    logits = {name: way.logits(words) for name, way in ways.items()}
    held = {name: float(way.held()) for name, way in ways.items()}
    for way in ways.values():
        way.forget(1)
    steps = {name: _again(way, words) for name, way in ways.items()}
    rounds = compare(steps, rounds=settings.rounds, seconds=settings.seconds)
    plain, *_ = logits.values()
    return {
        name: {
            "seconds": rounds[name],
            "held": held[name],
            "working": float(peak_bytes(steps[name])),
            "word": VOCABULARY[int(logits[name].argmax())],
            "apart": float(np.abs(logits[name] - plain).max()),
        }
        for name in WAYS
    } | {"expected": sentence(words_of(length, 1)), "speedup": rounds.ratio(WAYS[0], CACHED)}


def _again(way: Way, words: list[int]) -> Any:
    """The last word put in, and taken back."""

    def step() -> None:
        way.logits(words)
        way.forget(1)

    return step

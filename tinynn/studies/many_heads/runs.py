"""The trainings of the study of heads, and where their heads look."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinynn.autograd.grad_mode import no_grad
from tinynn.autograd.tensor import Tensor
from tinynn.backend.random import manual_seed
from tinynn.capture import compile as compile_step
from tinynn.nn import functional as F
from tinynn.ops.conversion import host
from tinynn.ops.creation import tensor
from tinynn.optim import AdamW
from tinynn.optim.lr_scheduler import CosineAnnealingLR
from tinynn.studies.many_heads.task import READOUTS, Batch, Network, Settings, draw_batch
from tinynn.studies.shared.report import mean
from tinynn.studies.shared.workers import Place, Workers

__all__ = ["best_rate", "configurations", "run_all", "search_rates", "train"]

# At how many steps the loss is kept.
POINTS = 30
# Apart from the seeds of trainings, those of what networks are judged by.
TEST, VALIDATION = 1_000_003, 1_000_033


class Run(NamedTuple):
    """A training."""

    settings: Settings
    heads: int
    readout: str
    rate: float
    seed: int
    judged_by: int
    """The seed of the rows whose answers are counted."""


def configurations(settings: Settings) -> list[tuple[str, int]]:
    """(readout, heads) of every network, those that take longest first."""
    return [(readout, heads) for readout in reversed(READOUTS) for heads in settings.heads]


def search_rates(settings: Settings, seed: int, workers: Workers) -> dict[str, Any]:
    """The share of right answers to validation rows, by readout, heads and rate."""
    grid = [(*pair, rate) for pair in configurations(settings) for rate in settings.rates]
    tasks = [
        Run(settings, heads, readout, rate, seed + settings.runs, VALIDATION + seed)
        for readout, heads, rate in grid
    ]
    results = workers.map("search for rates", train, tasks)
    found: dict[str, Any] = {readout: {str(h): {} for h in settings.heads} for readout in READOUTS}
    for (readout, heads, rate), result in zip(grid, results, strict=True):
        found[readout][str(heads)][f"{rate:g}"] = mean(result["accuracy"])
    return found


def best_rate(row: dict[str, float]) -> float:
    """The rate with the most right answers, the lowest of several.

    >>> best_rate({"0.002": 0.5, "0.01": 1.0, "0.005": 1.0})
    0.005
    """
    return min(map(float, row), key=lambda rate: (-row[f"{rate:g}"], rate))


def run_all(
    settings: Settings, seed: int, searched: dict[str, Any], workers: Workers
) -> dict[str, Any]:
    """What came of the trainings, by readout and heads."""
    grid = [(*pair, number) for pair in configurations(settings) for number in range(settings.runs)]
    tasks = [
        Run(settings, h, readout, best_rate(searched[readout][str(h)]), seed + n, TEST + seed)
        for readout, h, n in grid
    ]
    results = workers.map("trainings", train, tasks)
    found: dict[str, Any] = {readout: {str(h): [] for h in settings.heads} for readout in READOUTS}
    for (readout, heads, number), result in zip(grid, results, strict=True):
        if number:
            del result["example"]  # one of each is enough to look at
        found[readout][str(heads)].append(result)
    return found


def train(place: Place, run: Run) -> dict[str, Any]:
    """Trains a network, and looks at its answers and at its attention.

    Returns accuracy [relations], losses [POINTS], mass [heads, relations], the weight that a head
    gives the place of a relation, and an example: a row's weights and places.
    """
    settings = run.settings
    manual_seed(run.seed)
    random = np.random.default_rng(run.seed)
    network = Network(settings, run.heads, run.readout).to(place.device)
    optimizer = AdamW(network.parameters(), lr=run.rate, weight_decay=0.0)
    schedule = CosineAnnealingLR(optimizer, settings.steps)

    @compile_step
    def step(names: Tensor, known: Tensor, colours: Tensor, answers: Tensor) -> Tensor:
        logits = network(names, known, colours)
        loss = F.cross_entropy(logits.reshape(-1, settings.colours), answers.reshape(-1))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    losses = []
    for _ in range(settings.steps):
        batch = draw_batch(settings, settings.batch_size, random)
        losses.append(step(*given(batch, place), on_device(batch.answers, place)).item())
        schedule.step()
    test = draw_batch(settings, settings.test_rows, np.random.default_rng(run.judged_by))
    return {"rate": run.rate, "losses": thinned(losses), **judge(network, test, place)}


def judge(network: Network, test: Batch, place: Place) -> dict[str, Any]:
    with no_grad():
        logits = host(network(*given(test, place)))
        weights = host(network.weights(*given(test, place)))
    right = logits.argmax(axis=-1) == test.answers
    # The weight at the place of each relation: [rows, heads, persons, relations].
    at_places = np.take_along_axis(weights, test.places[:, None], axis=-1)
    return {
        "accuracy": right.mean(axis=(0, 1)).tolist(),
        "mass": at_places.mean(axis=(0, 2), dtype=np.float64).tolist(),
        "example": {
            "weights": np.round(weights[0].astype(np.float64), 4).tolist(),
            "places": test.places[0].tolist(),
        },
    }


def thinned(losses: list[float]) -> list[float]:
    """The means of `POINTS` stretches of equal length (fewer where there are not as many)."""
    return [float(part.mean()) for part in np.array_split(losses, min(POINTS, len(losses)))]


def given(batch: Batch, place: Place) -> tuple[Tensor, ...]:
    parts = batch.names, batch.known, batch.colours
    return tuple(on_device(part, place) for part in parts)


def on_device(array: Any, place: Place) -> Tensor:
    return tensor(array, device=place.device)

"""The trainings of the study of heads, and where their heads look."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinynn.autograd.grad_mode import no_grad
from tinynn.autograd.tensor import Tensor
from tinynn.backend.random import manual_seed
from tinynn.capture import compile as compiled
from tinynn.nn import functional as F
from tinynn.ops.conversion import host
from tinynn.ops.creation import tensor
from tinynn.optim import AdamW
from tinynn.optim.lr_scheduler import CosineAnnealingLR
from tinynn.studies.many_heads.task import READOUTS, Batch, Network, Settings, draw_batch
from tinynn.studies.shared.report import mean
from tinynn.studies.shared.workers import Place, Workers

__all__ = ["best_rate", "run_all", "train"]

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
    rows_seed: int
    """Chooses the rows by which networks are judged, the same for all runs."""


def run_all(settings: Settings, seed: int, workers: Workers) -> tuple[dict[str, Any], Any]:
    """(validation, runs): the mean share of right answers to validation rows by readout, heads and
    rate; and what came of the trainings at the best rate, by readout and heads."""
    grid = [
        (readout, heads, rate, number)
        for readout in reversed(READOUTS)  # those that take longest first
        for heads in settings.heads
        for rate in settings.rates
        for number in range(settings.runs)
    ]
    tasks = [
        Run(settings, heads, readout, rate, seed + n, seed) for readout, heads, rate, n in grid
    ]
    found = dict(zip(grid, workers.map("trainings", train, tasks), strict=True))
    validation: dict[str, Any] = {readout: {} for readout in READOUTS}
    runs: dict[str, Any] = {readout: {} for readout in READOUTS}
    for readout in READOUTS:
        for heads in settings.heads:
            by_rate = {
                f"{rate:g}": [found[readout, heads, rate, n] for n in range(settings.runs)]
                for rate in settings.rates
            }
            row = {rate: mean([run["validation"] for run in by_rate[rate]]) for rate in by_rate}
            chosen = by_rate[f"{best_rate(row):g}"]
            for run in chosen[1:]:
                del run["example"]  # one of each is enough to look at
            validation[readout][str(heads)], runs[readout][str(heads)] = row, chosen
    return validation, runs


def best_rate(row: dict[str, float]) -> float:
    """The rate with the most right answers, the lowest of several.

    >>> best_rate({"0.002": 0.5, "0.01": 1.0, "0.005": 1.0})
    0.005
    """
    return min(map(float, row), key=lambda rate: (-row[f"{rate:g}"], rate))


def train(place: Place, run: Run) -> dict[str, Any]:
    """Trains a network, and looks at its answers and at its attention.

    Returns losses [POINTS], the share of right answers to the validation rows, and of test rows:
    accuracy [relations], mass [heads, relations], the weight that a head gives the place of a
    relation, and an example: a row's weights and places.
    """
    settings = run.settings
    manual_seed(run.seed)
    random = np.random.default_rng(run.seed)
    network = Network(settings, run.heads, run.readout).to(place.device)
    optimizer = AdamW(network.parameters(), lr=run.rate, weight_decay=0.0)
    schedule = CosineAnnealingLR(optimizer, settings.steps)

    @compiled
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
    validation, test = (
        draw_batch(settings, settings.test_rows, np.random.default_rng(first + run.rows_seed))
        for first in (VALIDATION, TEST)
    )
    return {
        "rate": run.rate,
        "losses": thinned(losses),
        "validation": mean(judge(network, validation, place)["accuracy"]),
        **judge(network, test, place),
    }


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

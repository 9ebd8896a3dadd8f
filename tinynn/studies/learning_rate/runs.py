"""Trainings that differ in what a learning rate meets: schedules, initial values, dead units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from tinynn.autograd import no_grad
from tinynn.data import Dataset
from tinynn.models import MLP
from tinynn.nn import Linear, Module, ReLU, init
from tinynn.ops.conversion import host
from tinynn.optim import Optimizer, lr_scheduler
from tinynn.studies.shared.training import load_digits, new_network, plain, train
from tinynn.studies.shared.workers import Place
from tinynn.training.recipe import SCHEDULERS, Recipe

__all__ = ["INITIAL_VALUES", "SCHEDULES", "Run", "dead_units", "swing", "train_run"]

# What of a training's steps is kept for a figure: the mean of each of so many stretches.
STRETCHES = 120
COLD = 0.01


def warm_up(optimizer: Optimizer, steps: int) -> lr_scheduler.LinearLR:
    """A rate that grows evenly over a tenth of the steps, and then stays."""
    return lr_scheduler.LinearLR(optimizer, COLD, 1.0, max(1, steps // 10))


def warm_up_cosine(optimizer: Optimizer, steps: int) -> lr_scheduler.SequentialLR:
    """The same, but from there on it falls along a cosine to 0."""
    warm = max(1, steps // 10)
    parts = [
        warm_up(optimizer, steps),
        lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps - warm)),
    ]
    return lr_scheduler.SequentialLR(optimizer, parts, [warm])


# Those of `tinynn train mnist` come from the recipe.
SCHEDULES: dict[str, Callable[[Optimizer, int], Any] | None] = {
    **dict.fromkeys(SCHEDULERS),
    "warm-up": warm_up,
    "warm-up, cosine": warm_up_cosine,
}

# Of the weights; the engine's own values are left as they are, or are scaled.
INITIAL_VALUES: dict[str, Callable[[Any], Any]] = {
    "default": lambda weight: weight,
    "halved": lambda weight: weight.mul_(0.5),
    "doubled": lambda weight: weight.mul_(2.0),
    "Kaiming": lambda weight: init.kaiming_normal_(weight, nonlinearity="relu"),
    "Xavier": lambda weight: init.xavier_uniform_(weight),
}


class Run(NamedTuple):
    """One training of a study.

    Fields:
        limit: at most so many images to train on.
        split: the seed that chooses images for training and validation.
        schedule: a name of SCHEDULES.
        initial: a name of INITIAL_VALUES.
    """

    recipe: Recipe
    limit: int | None
    split: int
    schedule: str = "none"
    initial: str = "default"


def train_run(place: Place, run: Run) -> dict[str, Any]:
    """Trains, and tells accuracies by epoch, rates and losses along the way, and dead units."""
    parts = load_digits(place, run.split, run.limit)
    recipe = run.recipe
    model = new_network(recipe, parts.train, place)
    initialise(model, run.initial)
    made = SCHEDULES[run.schedule]
    if made is None:
        recipe = replace(recipe, scheduler=run.schedule)
    result = train(recipe, parts.train, parts.validation, place, model=model, schedule=made)
    return {
        "seed": recipe.seed,
        "rate": recipe.lr,
        "batch_size": recipe.batch_size,
        "train_accuracy": [row["train_accuracy"] for row in result.history],
        "validation_accuracy": [row["validation_accuracy"] for row in result.history],
        "steps": len(result.losses),
        "planned_steps": recipe.epochs * len(recipe.make_loader(parts.train)),
        "rates": stretch_means(result.rates),
        "losses": stretch_means(result.losses),
        "diverged": result.diverged,
        "dead": None if result.diverged else dead_units(model, parts.validation),
    }


def initialise(model: MLP, initial: str) -> None:
    """Gives the weights other initial values, and leaves the biases."""
    with no_grad():
        for module in model.modules():
            if isinstance(module, Linear):
                INITIAL_VALUES[initial](module.weight)


def dead_units(model: MLP, dataset: Dataset) -> float | None:
    """The share of ReLU units that are 0 for every image: no gradient moves them any more.

    None for a network that has no ReLU.
    """
    alive: dict[Module, Any] = {}
    with no_grad():
        for images, _ in plain(dataset):
            values = images.to(device=next(model.parameters()).device)
            for layer in model.layers:
                values = layer(values)
                if isinstance(layer, ReLU):
                    alive[layer] = alive.get(layer, False) | (host(values) > 0).any(axis=0)
    return float(1 - np.concatenate(list(alive.values())).mean()) if alive else None


def stretch_means(values: list[float]) -> list[float]:
    """The means of STRETCHES stretches of about the same length; the finite values alone count.

    >>> stretch_means([1.0, 3.0])
    [1.0, 3.0]
    """
    parts = np.array_split(np.array(values), min(STRETCHES, len(values)))
    return [float(np.mean(part)) for part in parts if np.isfinite(part).all()]


def swing(accuracies: list[float]) -> float:
    """How far an accuracy moves back and forth per epoch: its way, less what it gets on by it.

    >>> round(swing([0.56, 0.59, 0.56]), 2), round(swing([0.5, 0.7, 0.9]), 2)
    (0.03, 0.0)
    """
    changes = [abs(after - before) for before, after in pairwise(accuracies)]
    if not changes:
        return 0.0
    return (sum(changes) - abs(accuracies[-1] - accuracies[0])) / len(changes)

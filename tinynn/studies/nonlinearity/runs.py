"""What the networks do with images: trainings for their rates, those to judge by, timings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tinynn.autograd import Tensor, no_grad
from tinynn.backend.threads import get_num_threads
from tinynn.backend.timing import compare
from tinynn.data import Dataset
from tinynn.models import MLP
from tinynn.nn import CrossEntropyLoss, Identity, Linear, Sequential
from tinynn.ops.conversion import host
from tinynn.studies.nonlinearity.linearity import compare_with_collapse, departure, pieces
from tinynn.studies.nonlinearity.networks import NETWORKS, Settings, recipe
from tinynn.studies.shared.training import (
    inputs_of,
    load_digits,
    new_network,
    plain,
    train,
    training_step,
)
from tinynn.studies.shared.workers import Place, Workers
from tinynn.training.evaluation import evaluate
from tinynn.training.metrics import accuracy
from tinynn.training.recipe import Recipe

__all__ = ["best_rate", "run_all", "search_rates", "time_networks"]

# Images whose gradients at the beginning are looked at.
FIRST_IMAGES = 1000
# Short rounds: what disturbs one network then disturbs the next ones as well, or few rounds.
ROUND_SECONDS = 0.005


class Run(NamedTuple):
    """A training of a network on images."""

    recipe: Recipe
    limit: int | None
    split_seed: int
    """Chooses the images, the same for all runs."""


def best_rate(accuracies: Mapping[str, float | None]) -> float:
    """The rate with the best accuracy, the lowest of several; None is a training that diverged.

    >>> best_rate({"0.1": 0.9, "0.3": 0.95, "1": 0.95, "3": None})
    0.3
    """
    return min(map(float, accuracies), key=lambda rate: -(accuracies[f"{rate:g}"] or 0.0))


def search_rates(
    settings: Settings, seed: int, workers: Workers
) -> dict[str, dict[str, float | None]]:
    """The validation accuracy of each network by rate, None where it diverged."""
    grid = [(name, rate) for name in reversed(NETWORKS) for rate in settings.rates]
    choices = {"epochs": settings.search_epochs, "seed": seed}
    tasks = [
        Run(recipe(settings, name, lr=rate, **choices), settings.limit, seed) for name, rate in grid
    ]
    found = dict(zip(grid, workers.map("search for rates", try_rate, tasks), strict=True))
    return {name: {f"{rate:g}": found[name, rate] for rate in settings.rates} for name in NETWORKS}


def try_rate(place: Place, task: Run) -> float | None:
    parts = load_digits(place, task.split_seed, task.limit)
    training = train(task.recipe, parts.train, parts.validation, place)
    if training.diverged:
        return None
    return float(training.history[-1]["validation_accuracy"])


def run_all(
    settings: Settings, seed: int, rates: Mapping[str, float], workers: Workers
) -> dict[str, list[dict[str, Any]]]:
    """What came of the trainings of each network, without those that diverged.

    Raises RuntimeError where a network has none left.
    """
    grid = [(name, number) for name in reversed(NETWORKS) for number in range(settings.runs)]
    tasks = [
        Run(
            recipe(settings, name, lr=rates[name], epochs=settings.epochs, seed=seed + number),
            settings.limit,
            seed,
        )
        for name, number in grid
    ]
    found = dict(zip(grid, workers.map("trainings", run_one, tasks), strict=True))
    result: dict[str, list[dict[str, Any]]] = {}
    for name in NETWORKS:
        runs = [found[name, number] for number in range(settings.runs)]
        result[name] = [run for run in runs if run is not None]
        if not result[name]:
            raise RuntimeError(
                f"nonlinearity: every training with {name} diverged at a learning rate of "
                f"{rates[name]:g}, the best of a short search; another --seed may help"
            )
    return result


def run_one(place: Place, task: Run) -> dict[str, Any] | None:
    """A training, and what the network is like before and after it; None where it diverged."""
    parts = load_digits(place, task.split_seed, task.limit)
    gradients = first_gradients(new_network(task.recipe, parts.train, place), parts.train, place)
    training = train(task.recipe, parts.train, parts.validation, place)
    if training.diverged:
        return None
    model = training.model
    judged = evaluate(model, plain(parts.test), CrossEntropyLoss(), [accuracy])
    images = inputs_of(parts.test.images, place)
    half = len(images) // 2
    curves = ("train_loss", "validation_loss", "validation_accuracy")
    activation = task.recipe.activation
    is_deep_linear = activation == "identity" and task.recipe.hidden
    return {
        **{name: [row[name] for row in training.history] for name in curves},
        **{f"test_{name}": value for name, value in judged.items()},
        "first_gradients": gradients,
        "departure": departure(model, images[:half], images[half : 2 * half]),
        "pieces": len(np.unique(pieces(model, images))) if activation == "relu" else None,
        "collapse": compare_with_collapse(model, images) if is_deep_linear else None,
    }


def first_gradients(model: MLP, dataset: Dataset, place: Place) -> list[float]:
    """The norm of the gradient of each layer's weight, at the values the network has."""
    images, labels = dataset[:FIRST_IMAGES]
    target = Tensor(labels).to(device=place.device)
    CrossEntropyLoss()(model(inputs_of(images, place)), target).backward()
    layers = [layer for layer in model.layers if isinstance(layer, Linear)]
    gradients = [layer.weight.grad for layer in layers]
    return [float(np.linalg.norm(host(gradient))) for gradient in gradients if gradient is not None]


# ---- timings


def time_networks(settings: Settings, seed: int, place: Place) -> dict[str, Any]:
    """The seconds of training steps and of inference, by batch size, set, network and round.

    Where in memory a network lies can matter more than its activation, so that every set of
    networks is made anew, in another order.
    """
    dataset = load_digits(place, seed, settings.limit).train
    random = np.random.default_rng(seed)
    timings: dict[str, Any] = {"threads": get_num_threads(), "training": {}, "inference": {}}
    for size in settings.timed_batches:
        images, labels = dataset[:size]
        inputs, target = inputs_of(images, place), Tensor(labels).to(device=place.device)
        how: dict[str, Any] = {
            "rounds": settings.timing_rounds,
            "seconds": ROUND_SECONDS,
            "finish": partial(host, target),  # to fetch is to wait for the device
        }
        for kind, make in (("training", training_step), ("inference", forward_pass)):
            sets = []
            for _ in range(settings.timing_sets):
                calls = {
                    name: make(bare_layers(settings, name, dataset, place), inputs, target)
                    for name in random.permutation(list(NETWORKS)).tolist()
                }
                sets.append(compare(calls, **how))
            timings[kind][str(len(inputs))] = sets
    return timings


def bare_layers(settings: Settings, name: str, dataset: Dataset, place: Place) -> Sequential:
    """A network as one would write it by hand: without an activation, Linear after Linear."""
    network = new_network(recipe(settings, name), dataset, place)
    return Sequential(*(layer for layer in network.layers if not isinstance(layer, Identity)))


def forward_pass(model: Sequential, inputs: Tensor, target: Tensor) -> Callable[[], None]:
    def infer() -> None:
        with no_grad():
            model(inputs)

    return infer

"""Training one network for a study, by a recipe, on images that its process has loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from tinynn.autograd import Tensor
from tinynn.backend.random import manual_seed
from tinynn.backend.warm_up import warm_up
from tinynn.data import DataLoader, Dataset, normalize, subset
from tinynn.models import MLP
from tinynn.models.mlp import ACTIVATIONS
from tinynn.nn import CrossEntropyLoss, Module
from tinynn.optim import SGD, Optimizer
from tinynn.studies.shared.workers import Place
from tinynn.training.health import TrainingDiverged
from tinynn.training.mnist import load_parts
from tinynn.training.progress import SilentProgress
from tinynn.training.recipe import Recipe

__all__ = [
    "Parts",
    "Training",
    "compile_kernels",
    "inputs_of",
    "load_digits",
    "new_network",
    "plain",
    "train",
    "training_step",
]

JUDGED_AT_ONCE = 1000
# Steps so short that a network stays as it is at the beginning.
TIMED_RATE = 1e-9


class Parts(NamedTuple):
    """The images of a study, disjoint."""

    train: Dataset
    validation: Dataset
    test: Dataset


class Training(NamedTuple):
    """What came of training a network."""

    model: MLP
    history: list[dict[str, Any]]
    """A row per finished epoch, as in metrics.jsonl."""
    rates: list[float]
    """The learning rate of each step."""
    losses: list[float]
    """The loss of the batch at each step, before it."""
    diverged: str | None
    """What became infinite or NaN, and when; None for a training that ended as it should."""


def load_digits(place: Place, seed: int, limit: int | None = None) -> Parts:
    """MNIST, or what the place has in its form; 1/12 of the training images is for validation.

    Arguments:
        seed: chooses the images for validation, and those within the limit.
        limit: at most so many images to train on.
    """
    parts = _load(place.data, seed)
    if limit is None or limit >= len(parts.train):
        return parts
    return parts._replace(train=subset(parts.train, limit, seed))


@lru_cache(maxsize=1)
def _load(data: str | None, seed: int) -> Parts:
    return Parts(*load_parts(Recipe(seed=seed), data))


def compile_kernels(say: Callable[[str], Any]) -> None:
    """Compiles once, in the process that calls, what all workers will need."""
    for optimizer in ("sgd", "adamw"):
        warm_up(say, activations=ACTIVATIONS, optimizer=optimizer, dropout=True, augment=True)


def new_network(recipe: Recipe, dataset: Dataset, place: Place) -> MLP:
    """An untrained network for the dataset, with the initial values that the seed gives."""
    manual_seed(recipe.seed)
    height, width = dataset.images.shape[1:]
    return recipe.make_model(height * width, len(dataset.classes)).to(device=place.device)


def plain(dataset: Dataset) -> DataLoader:
    """Large batches in order, to judge with."""
    return DataLoader(dataset, JUDGED_AT_ONCE)


def inputs_of(images: Any, place: Place) -> Tensor:
    """Images, uint8 (samples, height, width), as a network takes them: (samples, inputs)."""
    return Tensor(normalize(images).reshape(len(images), -1)).to(device=place.device)


def training_step(model: Module, inputs: Tensor, target: Tensor) -> Callable[[], None]:
    """Forward, backward and the optimizer's step on one batch, to be timed."""
    optimizer, loss = SGD(model.parameters(), TIMED_RATE), CrossEntropyLoss()

    def step() -> None:
        loss(model(inputs), target).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def train(
    recipe: Recipe,
    train: Dataset,
    validation: Dataset,
    place: Place,
    *,
    model: MLP | None = None,
    schedule: Callable[[Optimizer, int], Any] | None = None,
    **options: Any,
) -> Training:
    """Trains a network; one that diverges is a result, too.

    Arguments:
        recipe: seed included; the same one gives the same network, bit for bit.
        model: where to begin; by default `new_network`.
        schedule: `schedule(optimizer, total_steps)` in place of the recipe's scheduler.
        options: Trainer's.
    """
    model = new_network(recipe, train, place) if model is None else model
    loader = recipe.make_loader(train)
    rows = _Rows()
    trainer = recipe.make_trainer(model, len(loader), progress=rows, **options)
    if schedule is not None:
        trainer.scheduler = schedule(trainer.optimizer, recipe.epochs * len(loader))
    trainer.after_batch = steps = _Steps()
    diverged = None
    try:
        trainer.fit(loader, recipe.epochs, plain(validation))
    except TrainingDiverged as error:
        diverged = f"{error.name} in epoch {error.epoch}"
    return Training(model, rows.history, steps.rates, steps.losses(), diverged)


class _Steps:
    """Remembers the loss and the learning rate of every training step."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self._values: list[Any] = []

    def __call__(self, values: Sequence[Any], rate: float) -> None:
        self.rates.append(float(rate))
        self._values.append(values[0])

    def losses(self) -> list[float]:
        """The values so far. Waits for the device."""
        return [float(value) for value in self._values]


class _Rows(SilentProgress):
    """Keeps the rows of the epochs, also of a training that diverges later."""

    def __init__(self) -> None:
        self.history: list[dict[str, Any]] = []

    def finish_epoch(self, row: Mapping[str, Any]) -> None:
        self.history.append(dict(row))

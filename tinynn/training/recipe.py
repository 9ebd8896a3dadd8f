"""The recipe of `tinynn train mnist`: every choice that decides the trained network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from tinynn import optim
from tinynn.data import DataLoader, Dataset, RandomAffine
from tinynn.data.normalization import MNIST_MEAN, MNIST_STD
from tinynn.models import CNN, MLP
from tinynn.models.mlp import ACTIVATIONS
from tinynn.nn import CrossEntropyLoss, Module
from tinynn.optim import lr_scheduler
from tinynn.training.metrics import accuracy
from tinynn.training.trainer import Trainer

__all__ = ["MODELS", "OPTIMIZERS", "SCHEDULERS", "Recipe", "RecipeError"]

# The network for grey images of (rows, columns), by the recipe's name of it.
MODELS: dict[str, Callable[[Any, tuple[int, int], int], MLP | CNN]] = {
    "mlp": lambda recipe, image, classes: recipe.make_model(math.prod(image), classes),
    "cnn": lambda recipe, image, classes: CNN(image, classes=classes, dropout=recipe.dropout),
}
# The choices that an MLP alone leaves open.
OF_MLP = ("hidden", "activation")

OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {
    "sgd": lambda parameters, recipe: optim.SGD(
        parameters, recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    ),
    "adamw": lambda parameters, recipe: optim.AdamW(
        parameters, recipe.lr, weight_decay=recipe.weight_decay
    ),
}

# Each is stepped after every step of the optimizer, but for plateau, which waits for the epochs.
SCHEDULERS: dict[str, Callable[..., Any]] = {
    "none": lambda optimizer, lr, steps: None,
    "cosine": lambda optimizer, lr, steps: lr_scheduler.CosineAnnealingLR(optimizer, steps),
    "linear": lambda optimizer, lr, steps: lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps),
    "exponential": lambda optimizer, lr, steps: lr_scheduler.ExponentialLR(
        optimizer, 0.01 ** (1 / steps)
    ),
    "step": lambda optimizer, lr, steps: lr_scheduler.StepLR(optimizer, max(1, steps // 3)),
    "multistep": lambda optimizer, lr, steps: lr_scheduler.MultiStepLR(
        optimizer, [steps // 2, steps * 3 // 4]
    ),
    "onecycle": lambda optimizer, lr, steps: lr_scheduler.OneCycleLR(
        optimizer, lr, total_steps=max(steps, 2), cycle_momentum=False
    ),
    "plateau": lambda optimizer, lr, steps: lr_scheduler.ReduceLROnPlateau(
        optimizer, mode="max", factor=0.5, patience=2
    ),
}


class Check(NamedTuple):
    """Which values a choice may have: a test, and the same in words."""

    accepts: Callable[[Any], bool]
    expected: str


def whole(least: int, most: float = math.inf) -> Check:
    expected = f"a whole number of at least {least}" + (f", at most {most}" * math.isfinite(most))
    return Check(lambda value: _is_whole(value) and least <= value <= most, expected)


def real(least: float = 0.0, below: float = math.inf) -> Check:
    expected = f"a number of at least {least:g}" + (f" and below {below:g}" * math.isfinite(below))
    return Check(lambda value: _is_real(value) and least <= value < below, expected)


def one_of(names: Iterable[str]) -> Check:
    known = tuple(names)
    return Check(lambda value: value in known, f"one of {', '.join(known)}")


def optional(check: Check) -> Check:
    return Check(lambda value: value is None or check.accepts(value), f"{check.expected}, or none")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_real(value: Any) -> bool:
    return isinstance(value, float) or _is_whole(value)


POSITIVE = Check(lambda value: _is_real(value) and 0 < value < math.inf, "a number above 0")
CHECKS = {
    "epochs": whole(1),
    "batch_size": whole(1),
    "lr": POSITIVE,
    "hidden": Check(
        lambda value: isinstance(value, tuple) and all(_is_whole(n) and n > 0 for n in value),
        "whole numbers of at least 1, with commas between, or none",
    ),
    "activation": one_of(ACTIVATIONS),
    "optimizer": one_of(OPTIMIZERS),
    "momentum": real(0, below=1),
    "scheduler": one_of(SCHEDULERS),
    "dropout": real(0, below=1),
    "weight_decay": real(0),
    "label_smoothing": real(0, below=1),
    "clip_norm": optional(POSITIVE),
    "augment": Check(lambda value: isinstance(value, bool), "true or false"),
    "subset": optional(whole(1)),
    "early_stopping": optional(whole(1)),
    "seed": whole(0, most=2**64 - 1),
    "model": one_of(MODELS),
}


@dataclass(frozen=True)
class Recipe:
    """The choices of a training run on small images; the defaults are for MNIST.

    Arguments:
        epochs: passes over the training images.
        batch_size: images per step.
        lr: the learning rate at the beginning (onecycle: at its height).
        hidden: units of the hidden layers; none is softmax regression.
        activation: between layers, a name in tinynn.models.mlp.ACTIVATIONS.
        optimizer: "sgd" or "adamw".
        momentum: of SGD.
        scheduler: what becomes of the learning rate. "cosine" and "linear" bring it to 0,
            "exponential" to a hundredth; "step" divides it by 10 after each third of the steps,
            "multistep" after half and three quarters; "onecycle" goes up and down; "plateau" halves
            it after 3 epochs without a better validation accuracy; "none" leaves it.
        dropout: the share of hidden units dropped in training.
        weight_decay: as the optimizer of that name has it in PyTorch.
        label_smoothing: the share of a label that is spread evenly over all classes.
        clip_norm: the greatest 2-norm of the gradient, or None.
        augment: whether images are shifted, turned and scaled a little, anew in each epoch.
        subset: how many training images to use, or None for all.
        early_stopping: stop after so many epochs without a better validation accuracy, and keep the
            best epoch's network; None trains to the end and keeps the last.
        seed: of everything random.
        model: "mlp", or "cnn" for the network of tinynn.models.CNN, which has its own hidden layers
            and activations.

    Raises RecipeError for a value out of its range.

    >>> Recipe(lr=-1.0)
    Traceback (most recent call last):
        ...
    tinynn.training.recipe.RecipeError: lr is -1.0, expected a number above 0
    """

    epochs: int = 20
    batch_size: int = 64
    lr: float = 0.1
    hidden: tuple[int, ...] = (256, 128)
    activation: str = "relu"
    optimizer: str = "sgd"
    momentum: float = 0.0
    scheduler: str = "cosine"
    dropout: float = 0.0
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    augment: bool = False
    subset: int | None = None
    early_stopping: int | None = None
    seed: int = 0
    model: str = "mlp"

    def __post_init__(self) -> None:
        for name, check in CHECKS.items():
            value = getattr(self, name)
            if not check.accepts(value):
                raise RecipeError(name, value, check.expected)
        if self.optimizer == "adamw" and self.momentum:
            raise RecipeError("momentum", self.momentum, "0 with the optimizer adamw")
        for name in OF_MLP:
            if self.model != "mlp" and getattr(self, name) != getattr(Recipe, name):
                raise RecipeError(
                    name, getattr(self, name), f"the default: the model {self.model} has its own"
                )

    @classmethod
    def from_dict(cls, values: Any) -> Recipe:
        """The recipe that `to_dict` gave; ValueError for anything else.

        What is missing has its default: a recipe of an earlier version lacks what came since.
        """
        if not isinstance(values, Mapping) or not set(values) <= set(CHECKS):
            raise ValueError(f"a recipe is an object with the keys {', '.join(CHECKS)}")
        hidden = values.get("hidden", cls.hidden)
        return cls(**{**values, "hidden": tuple(hidden) if isinstance(hidden, list) else hidden})

    def to_dict(self) -> dict[str, Any]:
        """The choices by name, fit for JSON."""
        return asdict(self) | {"hidden": list(self.hidden)}

    def make_model(self, inputs: int, classes: int) -> MLP:
        """A new MLP; its initial values come from the seed in use. MODELS has the others."""
        return MLP((inputs, *self.hidden, classes), self.activation, self.dropout)

    def make_optimizer(self, model: Module) -> optim.Optimizer:
        return OPTIMIZERS[self.optimizer](model.parameters(), self)

    def make_scheduler(self, optimizer: optim.Optimizer, steps_per_epoch: int) -> Any:
        return SCHEDULERS[self.scheduler](optimizer, self.lr, self.epochs * steps_per_epoch)

    def make_loader(
        self, dataset: Dataset, mean: float = MNIST_MEAN, std: float = MNIST_STD
    ) -> DataLoader:
        """Batches to train on, in a new order in each epoch."""
        return DataLoader(
            dataset,
            self.batch_size,
            shuffle=True,
            seed=self.seed,
            augment=RandomAffine() if self.augment else None,
            mean=mean,
            std=std,
        )

    def make_trainer(self, model: Module, steps_per_epoch: int, **options: Any) -> Trainer:
        """A Trainer by this recipe; options are Trainer's, and come before the recipe's."""
        optimizer = self.make_optimizer(model)
        choices = {
            "loss": CrossEntropyLoss(label_smoothing=self.label_smoothing),
            "scheduler": self.make_scheduler(optimizer, steps_per_epoch),
            "schedule_by": "step",
            "metrics": [accuracy],
            "monitor": "validation_accuracy",
            "early_stopping": self.early_stopping,
            "restore_best": self.early_stopping is not None,
            "clip_norm": self.clip_norm,
        }
        return Trainer(model, optimizer=optimizer, **choices | options)


class RecipeError(ValueError):
    """A choice that is out of its range. Attributes: `name`, `value`, `expected`."""

    def __init__(self, name: str, value: Any, expected: str) -> None:
        self.name, self.value, self.expected = name, value, expected
        super().__init__(f"{name} is {value!r}, expected {expected}")

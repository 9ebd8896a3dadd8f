"""One training of the study: on which images, with which labels, and what came of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinynn.data import Dataset, split, subset
from tinynn.models import MLP
from tinynn.studies.overfitting.label_noise import mislabel
from tinynn.studies.overfitting.settings import Settings
from tinynn.studies.shared.training import Parts, load_digits, plain, train
from tinynn.studies.shared.workers import Place
from tinynn.training.evaluation import predict_probabilities
from tinynn.training.recipe import Recipe

__all__ = ["Outcome", "Run", "Sizes", "run_one", "sizes", "training_set", "watched"]


class Sizes(NamedTuple):
    """How many images there are."""

    train: int
    """All there are to train on."""
    set: int
    """Of a training set."""
    more: int
    """Of a training set with more images."""
    validation: int
    watched: int
    """Of those for validation, the ones that early stopping looks at."""
    test: int
    sets: int
    """How many training sets."""
    inputs: int
    """Pixels of an image."""


def sizes(settings: Settings, seed: int, place: Place) -> Sizes:
    """What the settings ask for, as far as there are images; a training set has at least one."""
    parts = load_digits(place, seed)
    fitting = len(parts.train) // (settings.sets * settings.more)
    images = max(1, min(settings.images, fitting))
    return Sizes(
        train=len(parts.train),
        set=images,
        more=images * settings.more,
        validation=len(parts.validation),
        watched=min(settings.watched, len(parts.validation)),
        test=len(parts.test),
        sets=settings.sets,
        inputs=parts.train.images[0].size,
    )


class Run(NamedTuple):
    """A training of a network."""

    recipe: Recipe
    """Its seed also draws the wrong labels."""
    noise: float
    """The share of wrong labels."""
    number: int | None
    """Of the training set; None trains on all images."""
    images: int
    """How many of them."""
    sizes: Sizes
    split_seed: int
    """Divides the images, in the same way for all runs."""

    @property
    def cost(self) -> int:
        """Roughly proportional to the time it takes: images times weights of the hidden layers."""
        first, second = self.recipe.hidden
        return self.recipe.epochs * self.images * first * (self.sizes.inputs + second)


class Outcome(NamedTuple):
    """What came of a training."""

    numbers: dict[str, Any]
    """Fit for JSON."""
    probabilities: NDArray[np.float32]
    """For the validation images, (images, classes)."""


def run_one(place: Place, task: Run) -> Outcome:
    """Trains a network and judges it; RuntimeError where the training diverged."""
    parts = load_digits(place, task.split_seed)
    right = training_set(parts, task)
    labelled = mislabel(right, task.noise, task.recipe.seed)
    training = train(task.recipe, labelled, watched(parts, task), place)
    if training.diverged:
        raise RuntimeError(
            f"overfitting: a training of the network with hidden layers of {task.recipe.hidden} "
            f"units diverged ({training.diverged}); another --seed may help"
        )
    probabilities, _ = predict_probabilities(training.model, plain(parts.validation))
    numbers = {
        **look_at_labels(training.model, right, labelled),
        **judge(probabilities, parts.validation.labels, "validation"),
        **judge_on(training.model, parts.test, "test"),
        "epochs": len(training.history),
        "course": {
            name: [row[name] for row in training.history]
            for name in ("train_accuracy", "validation_accuracy")
        },
    }
    return Outcome(numbers, probabilities.astype(np.float32))


def training_set(parts: Parts, task: Run) -> Dataset:
    """The images of a run, labelled rightly: of different sets, different images."""
    if task.number is None:
        return parts.train
    blocks = split(parts.train, (task.sizes.more,) * task.sizes.sets, task.split_seed)
    return subset(blocks[task.number], task.images, task.split_seed)


def watched(parts: Parts, task: Run) -> Dataset:
    """The images that are looked at after each epoch.

    Where they decide when to stop, their labels are as wrong as those of the training images: who
    had right ones would train on them.
    """
    images = subset(parts.validation, task.sizes.watched, task.split_seed)
    if task.recipe.early_stopping is None:
        return images
    return mislabel(images, task.noise, task.split_seed)


def look_at_labels(model: MLP, right: Dataset, labelled: Dataset) -> dict[str, float | None]:
    """The training accuracy, and what becomes of the images with a wrong label.

    Returns `train_accuracy` by the labels that were trained on; of the wrongly labelled images the
    shares that are given their wrong label (`wrong_learned`) or, all the same, their true digit
    (`wrong_seen_through`), None where there are none; of the others, `right_learned`.
    """
    probabilities, _ = predict_probabilities(model, plain(right))
    answers = probabilities.argmax(axis=1)
    is_wrong = right.labels != labelled.labels
    has_wrong = bool(is_wrong.any())
    as_labelled, is_true = answers == labelled.labels, answers == right.labels
    return {
        "train_accuracy": float(as_labelled.mean()),
        "right_learned": float(is_true[~is_wrong].mean()),
        "wrong_learned": float(as_labelled[is_wrong].mean()) if has_wrong else None,
        "wrong_seen_through": float(is_true[is_wrong].mean()) if has_wrong else None,
    }


def judge_on(model: MLP, dataset: Dataset, name: str) -> dict[str, float]:
    probabilities, labels = predict_probabilities(model, plain(dataset))
    return judge(probabilities, labels, name)


def judge(probabilities: NDArray[Any], labels: NDArray[Any], name: str) -> dict[str, float]:
    """Accuracy and cross-entropy, by right labels.

    The loss is that of the probabilities, whatever the network was trained with. A probability that
    was rounded to zero counts as the smallest normal number.
    """
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    smallest = float(np.finfo(probabilities.dtype).tiny)
    return {
        f"{name}_accuracy": float((probabilities.argmax(axis=1) == labels).mean()),
        f"{name}_loss": float(-np.log(np.maximum(own, smallest)).mean()),
    }

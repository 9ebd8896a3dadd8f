"""Training on MNIST, or on images that come in its form, from the data to the pictures."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinynn.autograd import Tensor
from tinynn.backend.random import manual_seed
from tinynn.backend.threads import get_num_threads
from tinynn.backend.warm_up import warm_up
from tinynn.data import (
    MNIST,
    DataLoader,
    Dataset,
    IDXFolder,
    normalize,
    split,
    subset,
)
from tinynn.io.atomic import StrPath, remove_leftovers
from tinynn.models import CNN, MLP
from tinynn.nn import CrossEntropyLoss, Module
from tinynn.ops.conversion import host
from tinynn.optim import lr_range_test
from tinynn.training.evaluation import device_of_model, predict_probabilities
from tinynn.training.metrics import confusion_matrix
from tinynn.training.pictures import (
    draw_confusion,
    draw_curves,
    draw_lr_range,
    draw_mistakes,
    draw_weights,
)
from tinynn.training.progress import Progress
from tinynn.training.recipe import Recipe, RecipeError
from tinynn.training.run_folder import RunConfig, RunFolder

__all__ = ["Judgement", "classify", "judge", "load_images", "load_parts", "train_mnist"]

# Of 60,000 images 5,000 are for validation.
VALIDATION_SHARE = 1 / 12
JUDGED_AT_ONCE = 1000
RANGE_TEST_STEPS = 100

Say = Callable[[str], None]


class Judgement(NamedTuple):
    """How a network does on a dataset."""

    probabilities: NDArray[Any]
    """Of each class for each image, shape (images, classes)."""
    confusion: NDArray[np.int64]
    """Counts, [true, predicted]."""
    loss: float
    """Cross-entropy, nats per image."""

    @property
    def accuracy(self) -> float:
        """The share of images whose class was recognised."""
        return float(np.trace(self.confusion) / self.confusion.sum())


def train_mnist(
    recipe: Recipe,
    folder: StrPath,
    *,
    data: StrPath | None = None,
    device: str = "cpu",
    resume: bool = False,
    overwrite: bool = False,
    find_lr: bool = False,
    checkpoint_every: int | None = None,
    compile: bool = True,
    progress: Progress | str | None = "auto",
    say: Say = print,
) -> Judgement:
    """Trains a network, judges it by the test images, and leaves everything in a folder.

    Of the training images a twelfth is set aside for validation. With early stopping, the network
    that is kept is that of the epoch with the best validation accuracy, else that of the last.

    Arguments:
        folder: gets config.json, metrics.jsonl, checkpoints/, model.safetensors, curves.png,
            confusion.png, mistakes.png, weights.png.
        data: a folder of IDX files; None is MNIST, fetched the first time.
        resume: go on with the run in the folder, which has this recipe.
        overwrite: replace the run in the folder, once the data are there.
        find_lr: begin with a learning-rate range test (lr_range.png) and use what it suggests.
        checkpoint_every: a checkpoint after every so many steps, besides those after epochs.
        compile: record the step once and replay it, see `tn.compile`; the results are the same.
        progress: as for Trainer.
        say: receives lines of text.

    Raises FileExistsError for a folder that holds a run, unless told what to do with it, ValueError
    for data unlike those of the run to go on with, and what Trainer.fit and the datasets raise.
    """
    run = RunFolder(folder)
    run.refuse_other_run(resume, overwrite)
    train, validation, test = load_parts(recipe, data)
    source = None if data is None else os.path.abspath(data)
    height, width = train.images.shape[1:]
    config = RunConfig(recipe, source, height, width, train.classes)
    say(f"{len(train):,} images to train, {len(validation):,} to validate, {len(test):,} to test")
    if overwrite:
        run.clear()
    if resume and run.config.exists():
        _check_data(run, config)
    run.path.mkdir(parents=True, exist_ok=True)
    remove_leftovers(run.path)
    warm_up(
        say,
        activations=[recipe.activation] if recipe.hidden else [],
        optimizer=recipe.optimizer,
        convolution=recipe.model == "cnn",
        dropout=recipe.dropout > 0,
        augment=recipe.augment,
    )
    if find_lr:
        recipe = replace(recipe, lr=_find_lr(config, train, device, run))
        config = replace(config, recipe=recipe)
        say(f"learning rate: {recipe.lr:.3g}, by a range test ({run.lr_range})")
    if not resume:
        run.save_config(config)

    manual_seed(recipe.seed)
    model = config.make_model().to(device=device)
    say(_describe(model, recipe))
    loader = recipe.make_loader(train, config.mean, config.std)
    trainer = recipe.make_trainer(
        model,
        len(loader),
        folder=run.path,
        checkpoint_every=checkpoint_every,
        compile=compile,
        progress=progress,
    )
    judges = _plain_loader(config, validation)
    result = trainer.fit(loader, recipe.epochs, judges, resume=resume)
    if result.stopped_early:
        say(f"stopped early: no better validation accuracy for {recipe.early_stopping} epochs")
    kept = len(result.history) if recipe.early_stopping is None else result.best_epoch
    value = result.history[kept - 1]["validation_accuracy"]
    say(f"kept: epoch {kept}, validation accuracy {value:.2%}")
    run.save_model(model)
    judgement = judge(model, config, test)
    draw_curves(result.history, run.curves, kept if kept < len(result.history) else None)
    draw_confusion(judgement.confusion, run.confusion, test.classes)
    draw_mistakes(test.images, test.labels, judgement.probabilities, run.mistakes, test.classes)
    weight = host(next(model.parameters()))
    # A unit of a linear layer sees the whole image, a filter of a convolution a window of it.
    seen = weight.shape[2:] or (height, width)
    draw_weights(weight.reshape(len(weight), -1), run.weights, seen)
    return judgement


def load_images(data: StrPath | None, train: bool) -> Dataset:
    """MNIST's training or test images, or those of a folder of IDX files."""
    return MNIST(train=train) if data is None else IDXFolder(data, train=train)


def judge(model: Module, config: RunConfig, dataset: Dataset) -> Judgement:
    """Runs a trained network over a dataset."""
    _check_size(config, dataset.images)
    probabilities, targets = predict_probabilities(model, _plain_loader(config, dataset))
    confusion = confusion_matrix(targets, probabilities.argmax(axis=1), len(config.classes))
    likelihoods = np.take_along_axis(probabilities, targets[:, None], axis=1).astype(np.float64)
    # A probability that has underflowed to 0 counts as the smallest number there is.
    loss = -np.log(np.maximum(likelihoods, np.finfo(np.float32).tiny)).mean()
    return Judgement(probabilities, confusion, float(loss))


def classify(model: Module, config: RunConfig, images: NDArray[np.uint8]) -> NDArray[Any]:
    """The probabilities of each class for images, uint8 (images, height, width), in one batch."""
    _check_size(config, images)
    return predict_probabilities(
        model, [(Tensor(normalize(images, config.mean, config.std)), Tensor(np.zeros(len(images))))]
    )[0]


def _check_size(config: RunConfig, images: NDArray[Any]) -> None:
    height, width = images.shape[1:]
    if (height, width) != (config.height, config.width):
        raise ValueError(
            f"the network was trained on images of {config.height} x {config.width} pixels, these "
            f"have {height} x {width}"
        )


def _check_data(run: RunFolder, config: RunConfig) -> None:
    """Raises ValueError for data unlike those that the run in the folder was begun with."""
    begun = run.load_config()
    if (begun.height, begun.width, begun.classes) != (config.height, config.width, config.classes):
        raise ValueError(
            f"{run.config} tells of images of {begun.height} x {begun.width} pixels in "
            f"{len(begun.classes)} classes, the data are {config.height} x {config.width} in "
            f"{len(config.classes)}; resume with the data the run was begun with (--data)"
        )


def load_parts(recipe: Recipe, data: StrPath | None) -> tuple[Dataset, Dataset, Dataset]:
    """Images to train on (the recipe's subset of them), to validate with and to test with.

    A twelfth of the training images, chosen by the recipe's seed, is for validation. Raises
    RecipeError for a subset of more than there are.
    """
    images, test = load_images(data, train=True), load_images(data, train=False)
    held_back = max(1, round(len(images) * VALIDATION_SHARE))
    train, validation = split(images, (len(images) - held_back, held_back), recipe.seed)
    if recipe.subset is not None:
        if recipe.subset > len(train):
            raise RecipeError(
                "subset", recipe.subset, f"at most the {len(train):,} images there are"
            )
        train = subset(train, recipe.subset, recipe.seed)
    return train, validation, test


def _plain_loader(config: RunConfig, dataset: Dataset) -> DataLoader:
    return DataLoader(dataset, JUDGED_AT_ONCE, shuffle=False, mean=config.mean, std=config.std)


def _find_lr(config: RunConfig, train: Dataset, device: str, run: RunFolder) -> float:
    manual_seed(config.recipe.seed)
    model = config.make_model().to(device=device)
    optimizer = config.recipe.make_optimizer(model)
    loader = config.recipe.make_loader(train, config.mean, config.std)
    batches = [
        (inputs.to(device=device), target.to(device=device))
        for inputs, target in islice(loader, RANGE_TEST_STEPS)
    ]
    found = lr_range_test(model, CrossEntropyLoss(), batches, optimizer, steps=RANGE_TEST_STEPS)
    draw_lr_range(found.lrs, found.smoothed, run.lr_range, found.suggestion)
    if found.suggestion is None:
        raise ValueError(f"the range test found no learning rate, see {run.lr_range}; give --lr")
    return float(f"{found.suggestion:.2g}")


def _describe(model: MLP | CNN, recipe: Recipe) -> str:
    parameters = sum(parameter.numel() for parameter in model.parameters())
    activation = f"{recipe.activation}, " if recipe.hidden else ""
    threads = "1 thread" if get_num_threads() == 1 else f"{get_num_threads()} threads"
    return (
        f"{' -> '.join(map(str, model.sizes))}, {activation}{parameters:,} parameters, on "
        f"{device_of_model(model)} with {threads}"
    )

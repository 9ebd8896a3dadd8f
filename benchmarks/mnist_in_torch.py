"""The recipe of `tinynn train mnist` in PyTorch, eager, with the same data in the same batches."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tinynn.data import MNIST_MEAN, MNIST_STD, split
from tinynn.training.mnist import JUDGED_AT_ONCE, VALIDATION_SHARE, load_images
from tinynn.training.recipe import Recipe

Part = tuple[Tensor, Tensor]


def train(threads: int, epochs: int, data: str | None) -> None:
    """Trains by the default recipe and prints, as JSON, the seconds of each epoch."""
    recipe = Recipe(epochs=epochs)
    torch.set_num_threads(threads)
    torch.manual_seed(recipe.seed)
    part, validation = load_parts(recipe, data)
    model = make_model((part[0].shape[1], *recipe.hidden, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=recipe.lr)
    steps = epochs * -(-len(part[0]) // recipe.batch_size)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        metrics = []
        order = torch.randperm(len(part[0]))
        for inputs, target in batches(part, order, recipe.batch_size):
            output = model(inputs)
            loss = cross_entropy(output, target)
            metrics.append((loss.detach(), accuracy(output, target)))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            scheduler.step()
        mean(metrics)
        mean(judge(model, validation))
        seconds.append(time.perf_counter() - start)
    print(json.dumps(seconds))


def load_parts(recipe: Recipe, data: str | None) -> Iterator[Part]:
    """Images uint8 [N, pixels] and labels [N], to train with and to validate with."""
    images = load_images(data, train=True)
    held_back = max(1, round(len(images) * VALIDATION_SHARE))
    for part in split(images, (len(images) - held_back, held_back), recipe.seed):
        yield torch.from_numpy(part.images).flatten(1), torch.from_numpy(part.labels)


def make_model(sizes: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def batches(part: Part, order: Tensor, size: int) -> Iterator[Part]:
    """Normalized images and their labels, in an order."""
    images, labels = part
    for places in order.split(size):
        pixels = images[places].float().mul_(1 / (255 * MNIST_STD)).sub_(MNIST_MEAN / MNIST_STD)
        yield pixels, labels[places]


@torch.no_grad()
def judge(model: nn.Module, part: Part) -> list[Part]:
    """Loss and accuracy of each batch."""
    metrics = []
    for inputs, target in batches(part, torch.arange(len(part[0])), JUDGED_AT_ONCE):
        output = model(inputs)
        metrics.append((cross_entropy(output, target), accuracy(output, target)))
    return metrics


def accuracy(output: Tensor, target: Tensor) -> Tensor:
    return (output.argmax(1) == target).float().mean()


def mean(metrics: list[Part]) -> list[float]:
    """The mean loss and accuracy, fetched once an epoch."""
    means: list[float] = torch.tensor(metrics).mean(0).tolist()
    return means

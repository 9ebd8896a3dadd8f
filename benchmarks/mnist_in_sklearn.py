"""Training on MNIST by scikit-learn's MLPClassifier, with the network and batches of the recipe.

It takes images as floats, so they are normalized once, before the first epoch, and has no schedule
that goes down with every step, so its rate stays the same.
"""

from __future__ import annotations

import json
import time

import numpy as np
from sklearn.neural_network import MLPClassifier

from tinynn.data import MNIST_MEAN, MNIST_STD, Dataset, normalize, split
from tinynn.training.mnist import VALIDATION_SHARE, load_images
from tinynn.training.recipe import Recipe


def train(epochs: int, data: str | None) -> None:
    """Trains, and prints as JSON the seconds of each epoch with its validation."""
    recipe = Recipe(epochs=epochs)
    images = load_images(data, train=True)
    held_back = max(1, round(len(images) * VALIDATION_SHARE))
    parts = split(images, (len(images) - held_back, held_back), recipe.seed)
    training, validation = (as_floats(part) for part in parts)
    model = MLPClassifier(
        hidden_layer_sizes=tuple(recipe.hidden),
        solver="sgd",
        learning_rate_init=recipe.lr,
        momentum=recipe.momentum,
        alpha=recipe.weight_decay,
        batch_size=min(recipe.batch_size, len(training[0])),
        random_state=recipe.seed,
    )
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        model.partial_fit(*training, classes=np.arange(10))
        model.score(*validation)
        seconds.append(time.perf_counter() - start)
    print(json.dumps(seconds))


def as_floats(part: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Normalized images [N, pixels] float32, and labels [N]."""
    images = part.images.reshape(len(part), -1)
    return normalize(images, MNIST_MEAN, MNIST_STD), part.labels

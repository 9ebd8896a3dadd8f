"""Wrong labels, put in on purpose."""

from __future__ import annotations

import numpy as np

from tinynn.data import Dataset

__all__ = ["mislabel"]


def mislabel(dataset: Dataset, share: float, seed: int) -> Dataset:
    """The dataset with a share of its labels wrong, rounded to whole images.

    Which images, and which of the other classes they get, is drawn evenly. With the same seed, a
    greater share has the wrong labels of a smaller one, and more.

    >>> digits = Dataset(np.zeros((10, 28, 28), np.uint8), np.arange(10))
    >>> int((mislabel(digits, 0.3, seed=0).labels != digits.labels).sum())
    3
    """
    if not 0 <= share <= 1:
        raise ValueError(f"mislabel: share is {share}, expected 0 to 1")
    random = np.random.default_rng(seed)
    order = random.permutation(len(dataset))
    steps = random.integers(1, len(dataset.classes), len(dataset))
    wrong = order[: round(share * len(dataset))]
    labels = dataset.labels.copy()
    labels[wrong] = (labels[wrong] + steps[wrong]) % len(dataset.classes)
    return Dataset(dataset.images, labels, dataset.classes, dataset.name)

"""Parts of a dataset, chosen by seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinynn.data.counter_random import SPLIT, permutation
from tinynn.data.datasets import Dataset

if TYPE_CHECKING:
    from collections.abc import Sequence


def split(
    dataset: Dataset, sizes: Sequence[int] = (55_000, 5_000), seed: int = 0
) -> tuple[Dataset, ...]:
    """Disjoint random parts of a dataset, usually to train on and to validate with.

    Arguments:
        dataset: what to take from; it is copied, not changed.
        sizes: samples of each part; what is left over is in none.
        seed: chooses the samples. A part keeps them in the order of the dataset.

    Raises:
        ValueError: a size below 1, or more samples than the dataset has.

    >>> dataset = Dataset(np.zeros((6, 28, 28), np.uint8), [0, 1, 2, 3, 4, 5])
    >>> train, validation = split(dataset, (4, 2))
    >>> sorted([*train.labels.tolist(), *validation.labels.tolist()])
    [0, 1, 2, 3, 4, 5]
    """
    if min(sizes, default=0) < 1 or sum(sizes) > len(dataset):
        raise ValueError(
            f"split: sizes {tuple(sizes)} add up to {sum(sizes):,}; expected sizes of at least 1 "
            f"that add up to at most the {len(dataset):,} samples of {dataset}"
        )
    order = permutation(len(dataset), seed, SPLIT)
    parts = np.split(order[: sum(sizes)], np.cumsum(sizes)[:-1])
    return tuple(
        Dataset(*dataset[np.sort(indices)], dataset.classes, dataset.name) for indices in parts
    )


def subset(dataset: Dataset, size: int, seed: int = 0) -> Dataset:
    """A random part of a dataset; raises ValueError for a size it does not have."""
    (part,) = split(dataset, (size,), seed)
    return part

"""Batches of a dataset, in an order that seed and epoch decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.autograd import Tensor
from tinynn.data.counter_random import SHUFFLE, permutation
from tinynn.data.normalization import MNIST_MEAN, MNIST_STD, normalize
from tinynn.data.prefetch import prefetch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinynn.data.augmentation import Augmentation
    from tinynn.data.datasets import Dataset

    Array = np.ndarray[Any, Any]


class DataLoader:
    """Gives `(images, labels)`, both Tensors, batch by batch.

    Images are float32, [B, height * width] or [B, 1, height, width], normalized as
    (pixel / 255 - mean) / std; labels are int64, [B].

    Arguments:
        dataset: where images and labels come from.
        batch_size: samples in a batch.
        shuffle: a new order in every epoch, or the order of the dataset.
        seed: decides orders and augmentation.
        drop_last: leave out a last batch that is not full.
        augment: changes the images of a batch, e.g. `RandomAffine()`; None leaves them.
        prefetch: batches that a thread prepares ahead while the caller computes; 0 has no thread.
        flatten: whether an image is a vector, for an MLP, or a picture with a channel, for a CNN.
        mean, std: of the pixels as fractions; MNIST's by default. 0 and 1 give pixels in 0 to 1.

    Iterating over the loader gives epoch 0 the first time, epoch 1 the second, and so on.
    `loader.epoch(epoch, start)` gives the batches of any epoch from any position on, bit for bit
    the same each time: this is how training resumes.

    Raises:
        ValueError: an empty dataset, or an argument out of range.

    >>> from tinynn.data import Dataset
    >>> dataset = Dataset(np.zeros((100, 28, 28), np.uint8), np.arange(100) % 10)
    >>> loader = DataLoader(dataset, batch_size=32)
    >>> len(loader), [tuple(images.shape) for images, labels in loader]
    (4, [(32, 784), (32, 784), (32, 784), (4, 784)])
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 1,
        shuffle: bool = False,
        seed: int = 0,
        drop_last: bool = False,
        augment: Augmentation | None = None,
        prefetch: int = 2,
        flatten: bool = True,
        mean: float = MNIST_MEAN,
        std: float = MNIST_STD,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"DataLoader: batch_size is {batch_size}, expected at least 1")
        if prefetch < 0:
            raise ValueError(f"DataLoader: prefetch is {prefetch}, expected 0 or more batches")
        if not std > 0:
            raise ValueError(f"DataLoader: std is {std}, expected a number above 0")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self.augment = augment
        self.prefetch = prefetch
        self.flatten = flatten
        self.mean = mean
        self.std = std
        self._next_epoch = 0
        if len(self) == 0:
            raise ValueError(
                f"DataLoader: {dataset} gives no batch of {batch_size}"
                + (" with drop_last=True" if drop_last else "")
            )

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        count = len(self.dataset)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        epoch = self._next_epoch
        self._next_epoch += 1
        return self.epoch(epoch)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of an epoch, from batch number `start` on; all are counted from 0.

        Raises ValueError for a negative epoch and for a start beyond the last batch.
        """
        if epoch < 0 or not 0 <= start <= len(self):
            raise ValueError(
                f"DataLoader: got epoch {epoch} from batch {start} on; expected an epoch of at "
                f"least 0 and a batch from 0 to {len(self)}"
            )
        batches = self._batches(epoch, start)
        # Without augmentation a batch of 64 takes some 30 us: a thread costs more than it gives.
        if self.augment is None or self.prefetch == 0:
            return batches
        return prefetch(batches, self.prefetch)

    def _batches(self, epoch: int, start: int) -> Iterator[tuple[Tensor, Tensor]]:
        order = self._order(epoch)
        for batch in range(start, len(self)):
            indices = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            yield self._batch(indices, epoch)

    def _order(self, epoch: int) -> Array:
        if self.shuffle:
            return permutation(len(self.dataset), self.seed, SHUFFLE, epoch)
        return np.arange(len(self.dataset))

    def _batch(self, indices: Array, epoch: int) -> tuple[Tensor, Tensor]:
        images, labels = self.dataset[indices]
        if self.augment is not None:
            images = self.augment(images, indices, seed=self.seed, epoch=epoch)
        height, width = images.shape[1:]
        shape = (-1, height * width) if self.flatten else (-1, 1, height, width)
        return Tensor(normalize(images, self.mean, self.std).reshape(shape)), Tensor(labels)

"""Metrics of a batch, and their means over an epoch, left on the device until they are read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinynn.autograd import Tensor
from tinynn.backend.devices import array_module, backend_of

__all__ = ["Averages", "Metric", "accuracy", "class_accuracies", "confusion_matrix"]


@dataclass(frozen=True)
class Metric:
    """A number that says how well a batch went.

    Arguments:
        name: its key in the rows of metrics.jsonl, after `train_` and `validation_`.
        function: takes the model's output and the target, gives the mean over the batch as an array
            of no dimensions on the same device.
        higher_is_better: whether an epoch with a greater value is the better one.
    """

    name: str
    function: Callable[[Tensor, Tensor], Any]
    higher_is_better: bool = True

    def __call__(self, output: Tensor, target: Tensor) -> Any:
        return self.function(output, target)


def _share_right(output: Tensor, target: Tensor) -> Any:
    return (output.data.argmax(axis=-1) == target.data).mean()


accuracy = Metric("accuracy", _share_right)
"""The share of samples whose greatest output, along the last dimension, is at the target's index.

Output (..., classes) of any float dtype, target (...) of an integer dtype; a float64 from 0 to 1.

>>> import tinynn as tn
>>> output = tn.tensor([[2.0, 1.0], [0.0, 3.0], [5.0, 4.0]])
>>> float(accuracy(output, tn.tensor([0, 1, 1])))  # doctest: +ELLIPSIS
0.666...
"""


class Averages:
    """Means over samples, one per name, of values that batches leave on the device.

    `add` only keeps the arrays; `read` waits for the device, fetches and sums them in float64,
    in order, so that the means do not depend on when they are read.

    >>> averages = Averages(["loss"])
    >>> averages.add([np.array(2.0)], samples=3)
    >>> averages.add([np.array(4.0)], samples=1)
    >>> averages.read()
    {'loss': 2.5}
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self.batches = 0
        self.samples = 0
        self.first_not_finite: tuple[int, str, float] | None = None
        """(batch from 0, name, value) of the first NaN or infinity that `read` met."""
        self._totals = [0.0] * len(self.names)
        self._pending: list[tuple[Sequence[Any], int]] = []

    def add(self, values: Sequence[Any], samples: int) -> None:
        """Takes the means of one batch, arrays of no dimensions in the order of `names`."""
        self._pending.append((values, samples))

    def read(self) -> dict[str, float]:
        """The means so far, NaN before the first batch. Waits for the device."""
        if self._pending:
            columns = zip(*(values for values, _ in self._pending), strict=True)
            fetched = zip(*(_fetch(column) for column in columns), strict=True)
            counts = [samples for _, samples in self._pending]
            self._pending = []
            for values, samples in zip(fetched, counts, strict=True):
                self._add_up(values, samples)
        total = self.samples or math.nan
        return {name: value / total for name, value in zip(self.names, self._totals, strict=True)}

    def _add_up(self, values: Sequence[float], samples: int) -> None:
        for index, value in enumerate(values):
            self._totals[index] += value * samples
            if not math.isfinite(value) and self.first_not_finite is None:
                self.first_not_finite = (self.batches, self.names[index], value)
        self.samples += samples
        self.batches += 1

    def state_dict(self) -> dict[str, Any]:
        """The sums so far, for a checkpoint in the middle of an epoch."""
        self.read()
        return {"batches": self.batches, "samples": self.samples, "totals": list(self._totals)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.batches, self.samples = state["batches"], state["samples"]
        self._totals = [float(total) for total in state["totals"]]
        self._pending = []


def _fetch(values: Sequence[Any]) -> list[float]:
    """Arrays of no dimensions as Python floats, in one transfer."""
    stacked = array_module(values[0]).stack(values)
    fetched: list[float] = backend_of(stacked).to_host(stacked).astype(np.float64).tolist()
    return fetched


def confusion_matrix(targets: ArrayLike, predictions: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Counts `matrix[true, predicted]`, shape (classes, classes), of two vectors of class indices.

    >>> confusion_matrix([0, 0, 1], [0, 1, 1], classes=2)
    array([[1, 1],
           [0, 1]])
    """
    true, predicted = np.array(targets, np.int64), np.array(predictions, np.int64)
    if true.shape != predicted.shape or true.ndim != 1:
        raise ValueError(
            f"confusion_matrix: targets has shape {true.shape} and predictions {predicted.shape}, "
            "expected two vectors of one length"
        )
    for name, indices in (("targets", true), ("predictions", predicted)):
        if indices.size and not 0 <= indices.min() <= indices.max() < classes:
            raise ValueError(
                f"confusion_matrix: {name} run from {indices.min()} to {indices.max()}, expected 0 "
                f"to {classes - 1}"
            )
    counts = np.bincount(true * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes)


def class_accuracies(matrix: ArrayLike) -> NDArray[np.float64]:
    """The share of each true class that was recognised, shape (classes,); NaN for one without any.

    >>> class_accuracies([[3, 1], [0, 2]])
    array([0.75, 1.  ])
    """
    counts = np.asarray(matrix)
    totals = counts.sum(axis=1)
    return np.where(totals > 0, np.diag(counts) / np.maximum(totals, 1), np.nan)

"""Running a model over a dataset without training it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinynn.autograd import Tensor, no_grad
from tinynn.backend.devices import Device
from tinynn.nn import Module
from tinynn.ops.conversion import host
from tinynn.training.metrics import Averages, Metric

__all__ = ["evaluate", "predict_probabilities"]

Batches = Iterable[tuple[Tensor, Tensor]]


def evaluate(
    model: Module,
    loader: Batches,
    loss: Callable[[Tensor, Tensor], Tensor],
    metrics: Sequence[Metric] = (),
) -> dict[str, float]:
    """The mean loss and metrics of a model over all samples of a loader.

    The model is in eval mode meanwhile, and back in its own mode afterwards.

    Arguments:
        loader: gives batches (inputs, targets); moved to the model's device.
        loss: `loss(output, target)`, the mean over the batch, as tn.nn.CrossEntropyLoss().

    >>> import tinynn as tn
    >>> batches = [(tn.tensor([[1.0], [2.0]]), tn.tensor([[1.0], [4.0]]))]
    >>> evaluate(tn.nn.Identity(), batches, tn.nn.MSELoss())
    {'loss': 2.0}
    """
    averages = Averages(["loss", *(metric.name for metric in metrics)])
    for output, target in _outputs(model, loader):
        values = [loss(output, target).data, *(metric(output, target) for metric in metrics)]
        averages.add(values, len(target))
    if not averages.read() or not averages.samples:
        raise ValueError("evaluate: loader gave no samples")
    return averages.read()


def predict_probabilities(
    model: Module, loader: Batches
) -> tuple[NDArray[np.floating[Any]], NDArray[np.integer[Any]]]:
    """The class probabilities a classifier gives to all samples of a loader, and their targets.

    Returns NumPy arrays: probabilities (samples, classes), the softmax of the model's output, and
    targets (samples,).
    """
    from tinynn.nn.functional import softmax

    probabilities, targets = [], []
    for output, target in _outputs(model, loader):
        probabilities.append(host(softmax(output, dim=-1)))
        targets.append(host(target))
    if not targets:
        raise ValueError("predict_probabilities: loader gave no samples")
    return np.concatenate(probabilities), np.concatenate(targets)


def _outputs(model: Module, loader: Batches) -> Iterable[tuple[Tensor, Tensor]]:
    device = device_of_model(model)
    was_training = model.training
    model.eval()
    try:
        with no_grad():
            for inputs, target in loader:
                yield model(inputs.to(device)), target.to(device)
    finally:
        model.train(was_training)


def device_of_model(model: Module) -> Device:
    """Where the model's parameters are; the CPU for a model that has none."""
    parameter = next(model.parameters(), None)
    return Device("cpu") if parameter is None else parameter.device

"""How well a model foretells a text, and how many bytes its weights take."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynn.autograd.grad_mode import no_grad
from tinynn.nn import functional as F
from tinynn.ops.creation import tensor
from tinynn.quant import QuantizedEmbedding, QuantizedLinear

__all__ = ["losses_of", "weight_bytes"]

Array = np.ndarray[Any, Any]


def losses_of(model: Any, windows: Array, at_once: int = 1) -> list[float]:
    """The mean cross-entropy of each window, nats a token.

    Arguments:
        windows: [number, length + 1] ids; each but the first of a window is to be foretold.
        at_once: how many windows go through the model together.
    """
    losses: list[float] = []
    for first in range(0, len(windows), at_once):
        part = windows[first : first + at_once]
        with no_grad():
            scores = model(tensor(part[:, :-1].copy()))
            targets = tensor(part[:, 1:].reshape(-1))
            each = F.cross_entropy(scores.flatten(0, 1), targets, reduction="none")
        losses += each.numpy().reshape(len(part), -1).mean(axis=1, dtype=np.float64).tolist()
    return losses


def weight_bytes(model: Any) -> int:
    """Bytes of all that a model has learned, what it uses twice counted once."""
    layers = (QuantizedLinear, QuantizedEmbedding)
    matrices = {id(m.matrix): m.matrix for m in model.modules() if isinstance(m, layers)}
    parameters = {id(parameter): parameter.data for parameter in model.parameters()}
    return sum(array.nbytes for array in (*matrices.values(), *parameters.values()))

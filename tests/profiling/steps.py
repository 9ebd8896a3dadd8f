"""Training steps to be profiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinynn as tn

# What one step of an MLP with two hidden layers consists of, and how often.
STEP = {
    "linear_activation": 2,
    "linear": 1,
    "cross_entropy": 1,
    "cross_entropy backward": 1,
    "linear backward": 1,
    "linear_activation backward": 2,
    "copy gradient": 3,  # of the biases
    "SGD.step": 1,
}


def training(device: str = "cpu", compiled: bool = False, **options: Any) -> Callable[[], Any]:
    """A step of an MLP with SGD; called, it returns the loss. It has its `model` as an attribute.

    Arguments:
        compiled: whether it is given to tn.compile.
        options: SGD's.
    """
    tn.manual_seed(0)
    model = tn.nn.Sequential(
        *(tn.nn.Linear(12, 8), tn.nn.ReLU(), tn.nn.Linear(8, 6), tn.nn.ReLU(), tn.nn.Linear(6, 4))
    ).to(device)
    optimizer = tn.optim.SGD(model.parameters(), **{"lr": 0.1} | options)
    random = np.random.default_rng(0)
    x = tn.tensor(random.standard_normal((5, 12)).astype(np.float32), device=device)
    y = tn.tensor(random.integers(0, 4, 5), device=device)

    def step(x: tn.Tensor, y: tn.Tensor) -> tn.Tensor:
        loss = tn.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    chosen = tn.compile(step) if compiled else step

    def call() -> tn.Tensor:
        return chosen(x, y)

    call.model, call.step = model, chosen
    return call


def counts(profile: tn.profiling.Profile) -> dict[str, int]:
    """How often each operation was carried out."""
    return {row.operation: row.calls for row in profile.rows}

"""The networks that are compared, and how much is run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinynn.training.recipe import Recipe

__all__ = ["ACTIVATED", "DEEP", "FLAT", "NETWORKS", "PRECISIONS", "Settings", "recipe"]

FLAT, DEEP = "softmax regression", "no activation"
ACTIVATED = {
    "ReLU": "relu",
    "leaky ReLU": "leaky_relu",
    "ELU": "elu",
    "GELU": "gelu",
    "SiLU": "silu",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
}
# The activation of each network. FLAT is the one without hidden layers.
NETWORKS = {FLAT: "identity", DEEP: "identity", **ACTIVATED}
# Those in which the deep linear network is compared with its one matrix; the first is the one in
# which it was trained.
PRECISIONS = ("float32", "float64")


@dataclass(frozen=True)
class Settings:
    """How much is run.

    Arguments:
        limit: images to train on; None is all.
        hidden: units of the hidden layers of all networks but softmax regression.
        runs: trainings of each network, with other initial values and orders.
        rates: learning rates to choose each network's from, by a training of `search_epochs`.
        timed_batches: images per step in the timings.
        timing_sets: how often all networks are made anew, to lie elsewhere in memory.
        timing_rounds: how often each network of a set is timed, in turn.
        plane_...: of the networks in the plane.
    """

    limit: int | None = None
    hidden: tuple[int, ...] = (256, 128)
    epochs: int = 10
    runs: int = 3
    batch_size: int = 64
    rates: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
    search_epochs: int = 2
    timed_batches: tuple[int, ...] = (64, 512)
    timing_sets: int = 12
    timing_rounds: int = 13
    plane_hidden: tuple[int, ...] = (16, 16)
    plane_points: int = 450
    plane_steps: int = 800
    plane_rates: tuple[float, ...] = (0.01, 0.03, 0.1)

    def hidden_of(self, name: str) -> tuple[int, ...]:
        return () if name == FLAT else self.hidden


def recipe(settings: Settings, name: str, **choices: Any) -> Recipe:
    """How the network of a name is made; SGD, with a cosine schedule."""
    return Recipe(
        activation=NETWORKS[name],
        hidden=settings.hidden_of(name),
        batch_size=settings.batch_size,
        **choices,
    )

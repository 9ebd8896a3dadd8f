"""Gradient descent on all images at once, watched by the curvature it meets.

Where a loss bends by an eigenvalue e of its Hessian in some direction, a step of rate r multiplies
the distance to the bottom in that direction by 1 - r e. It shrinks as long as e < 2 / r, and beyond
that it grows from step to step, changing sides.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from tinynn import optim
from tinynn.autograd import Tensor, grad
from tinynn.nn.functional import cross_entropy
from tinynn.studies.shared.training import inputs_of, load_digits, new_network
from tinynn.studies.shared.workers import Place
from tinynn.training.curvature import Eigenpair, Vector, largest_eigenvalue
from tinynn.training.recipe import Recipe

__all__ = ["Crossing", "Descent", "descend", "walk_across"]

# Once the loss is so many times what it was, there is nothing left to watch.
LOST = 100.0
# How far beside the bottom to begin, in units of 1 / eigenvalue: near enough for a parabola.
BESIDE = 0.02
# How often the distance to the lowest point is halved before.
HALVINGS = 16


class Descent(NamedTuple):
    """Gradient descent at one rate.

    Fields:
        images: how many to train on, all in each step.
        every: steps between two looks at the curvature.
    """

    rate: float
    images: int
    steps: int
    every: int
    seed: int
    activation: str = "relu"


def descend(place: Place, task: Descent) -> dict[str, Any]:
    """The loss at each step, and at every so many the largest eigenvalue of its Hessian.

    Ends early where the loss is lost: not finite, or a hundred times the first.
    """
    network = _Network(place, task)
    losses: list[float] = []
    looks: list[dict[str, float]] = []
    vector: Vector | None = None
    for step in range(task.steps):
        if step % task.every == 0 and math.isfinite(network.loss().item()):
            found = network.bend(vector)
            vector = found.vector
            looks.append({"step": step, "value": found.value, "residual": found.residual})
        loss = network.step()
        if not math.isfinite(loss) or (losses and loss > LOST * losses[0]):
            break
        losses.append(loss)
    return {
        "rate": task.rate,
        "activation": task.activation,
        "images": network.size,
        "losses": losses,
        "looks": looks,
    }


class Crossing(NamedTuple):
    """Steps along one line through the loss: the direction in which a trained network's bends most.

    Fields:
        descent: what trains the network first.
        products: the rates to walk with, each times the eigenvalue of that direction.
        steps: how many of them.
    """

    descent: Descent
    products: tuple[float, ...]
    steps: int


def walk_across(place: Place, task: Crossing) -> dict[str, Any]:
    """Gradient descent that may only move along the eigenvector of the largest eigenvalue.

    It begins a little beside the lowest point of that line. The distances from there are in units
    of the first: theory has them multiplied by 1 - product in every step.
    """
    network = _Network(place, task.descent)
    for _ in range(task.descent.steps):
        network.step()
    _Line(network).go_to_lowest()
    line = _Line(network)  # the direction has turned a little on the way
    beside = BESIDE / line.eigenvalue
    walks = {}
    for product in task.products:
        distances = [1.0]
        for _ in range(task.steps):
            slope = line.slope(beside * distances[-1]) / beside
            distances.append(distances[-1] - product / line.eigenvalue * slope)
        walks[f"{product:g}"] = distances
    return {"eigenvalue": line.eigenvalue, "walks": walks}


class _Network:
    """A network, all of its images, and gradient descent on them."""

    def __init__(self, place: Place, task: Descent) -> None:
        dataset = load_digits(place, task.seed, task.images).train
        recipe = Recipe(seed=task.seed, activation=task.activation)
        self.seed, self.size = task.seed, len(dataset)
        self.model = new_network(recipe, dataset, place)
        self.parameters = list(self.model.parameters())
        self.optimizer = optim.SGD(self.parameters, lr=task.rate)
        self.images = inputs_of(dataset.images, place)
        self.labels = Tensor(dataset.labels).to(device=place.device)

    def loss(self) -> Tensor:
        return cross_entropy(self.model(self.images), self.labels)

    def step(self) -> float:
        """Takes a step and returns the loss before it."""
        self.optimizer.zero_grad()
        loss = self.loss()
        loss.backward()
        self.optimizer.step()
        return float(loss.item())

    def bend(self, start: Vector | None = None, tolerance: float = 0.02) -> Eigenpair:
        return largest_eigenvalue(
            self.loss(), self.parameters, start=start, tolerance=tolerance, seed=self.seed
        )


class _Line:
    """The line through a network's parameters in the direction in which the loss bends most."""

    def __init__(self, network: _Network) -> None:
        self.network = network
        self.eigenvalue, self.direction, *_ = network.bend(tolerance=1e-3)
        self.origin = [parameter.data.copy() for parameter in network.parameters]

    def slope(self, distance: float) -> float:
        """The derivative of the loss along the line, at a distance from the origin."""
        self.go_to(distance)
        gradient = grad(self.network.loss(), self.network.parameters)
        parts = zip(gradient, self.direction, strict=True)
        return math.fsum((g * v).sum().item() for g, v in parts if g is not None)

    def go_to(self, distance: float) -> None:
        parameters = self.network.parameters
        for parameter, start, part in zip(parameters, self.origin, self.direction, strict=True):
            parameter.data[...] = start + np.float32(distance) * part.data
            parameter.bump_version()

    def go_to_lowest(self) -> None:
        """Leaves the network where the slope is zero; each step halves the way there."""
        lowest = 0.0
        for _ in range(HALVINGS):
            lowest -= self.slope(lowest) / (2 * self.eigenvalue)
        self.go_to(lowest)

"""How sharply a loss bends: the largest eigenvalue of its Hessian, without the Hessian.

A product of the Hessian H with a vector v is a second derivative along v, the gradient of <g, v>,
and costs about two gradients (Pearlmutter, "Fast exact multiplication by the Hessian", 1994). Power
iteration, v <- H v / |H v|, turns any v towards the eigenvector whose eigenvalue is greatest in
magnitude.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from tinynn.autograd import Tensor, grad, no_grad
from tinynn.backend.devices import device_of, transfer
from tinynn.ops import zeros_like

__all__ = ["Eigenpair", "hessian_product", "largest_eigenvalue"]

Vector = list[Tensor]
"""A tensor for each parameter, of its shape, dtype and device."""


class Eigenpair(NamedTuple):
    """What power iteration found."""

    value: float
    """<v, H v> of the unit vector v."""
    vector: Vector
    residual: float
    """|H v - value v|: the Hessian has an eigenvalue no further than this from `value`."""
    iterations: int


def hessian_product(loss: Tensor, parameters: Sequence[Tensor]) -> Callable[[Vector], Vector]:
    """A function that multiplies the loss's Hessian with a vector.

    Arguments:
        loss: of no dimensions, computed from the parameters.
        parameters: what to differentiate by.

    >>> import tinynn as tn
    >>> x = tn.tensor([1.0, 2.0], requires_grad=True)
    >>> product = hessian_product((x**3).sum(), [x])  # its Hessian is diag(6 x)
    >>> product([tn.tensor([1.0, 1.0])])
    [tensor([ 6., 12.])]
    """
    gradient = [part for part in grad(loss, parameters, create_graph=True) if part is not None]

    def product(vector: Vector) -> Vector:
        slope = _inner(gradient, vector)
        if not slope.requires_grad:  # a loss without curvature
            return [zeros_like(parameter) for parameter in parameters]
        found = grad(slope, parameters, retain_graph=True, allow_unused=True)
        return [
            zeros_like(parameter) if part is None else part
            for part, parameter in zip(found, parameters, strict=True)
        ]

    return product


def largest_eigenvalue(
    loss: Tensor,
    parameters: Iterable[Tensor],
    *,
    start: Vector | None = None,
    tolerance: float = 0.02,
    max_iterations: int = 100,
    seed: int = 0,
) -> Eigenpair:
    """The largest eigenvalue of a loss's Hessian, by power iteration.

    Where the eigenvalue of greatest magnitude is negative, a second iteration finds the largest of
    the Hessian shifted by it.

    Arguments:
        loss: of no dimensions, computed from the parameters.
        start: where to begin, such as the vector of an earlier Eigenpair; by default at random.
        tolerance: ends when the residual is at most this share of the value. The error of the value
            is far smaller: it goes with the square of the residual.
        max_iterations: ends then at the latest; look at `residual`.
        seed: of the random start.

    Raises ValueError for a Hessian or a loss that is not finite.

    >>> import tinynn as tn
    >>> x = tn.tensor([1.0, 2.0], requires_grad=True)
    >>> round(largest_eigenvalue((x**3).sum(), [x]).value, 1)
    12.0
    """
    parameters = list(parameters)
    product = hessian_product(loss, parameters)
    if start is None:
        start = _random_vector(parameters, seed)
    found = _iterate(product, start, 0.0, tolerance, max_iterations)
    if found.value < 0:
        again = _random_vector(parameters, seed + 1)
        shifted = _iterate(product, again, found.value, tolerance, max_iterations)
        found = shifted._replace(iterations=found.iterations + shifted.iterations)
    return found


def _iterate(
    product: Callable[[Vector], Vector],
    vector: Vector,
    shift: float,
    tolerance: float,
    max_iterations: int,
) -> Eigenpair:
    """Power iteration on H - shift; the eigenpair is that of H."""
    with no_grad():
        vector = _scaled(vector, 1 / _norm(vector))
    for iteration in range(1, max_iterations + 1):
        image = product(vector)
        with no_grad():
            value = _inner(vector, image).item()
            if not math.isfinite(value):
                raise ValueError(
                    f"largest_eigenvalue: <v, H v> is {value}; the loss is not finite, or too "
                    "steep for its dtype"
                )
            rest = [h - value * v for h, v in zip(image, vector, strict=True)]
            residual = _norm(rest)
            scale = max(abs(value), abs(value - shift))
            if residual <= tolerance * scale or iteration == max_iterations:
                break
            moved = [h - shift * v for h, v in zip(image, vector, strict=True)]
            vector = _scaled(moved, 1 / _norm(moved))
    return Eigenpair(value, vector, residual, iteration)


def _inner(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
    terms = [(a * b).sum() for a, b in zip(first, second, strict=True)]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _norm(vector: Vector) -> float:
    return math.sqrt(_inner(vector, vector).item())


def _scaled(vector: Vector, factor: float) -> Vector:
    return [part * factor for part in vector]


def _random_vector(parameters: Sequence[Tensor], seed: int) -> Vector:
    generator = np.random.default_rng(seed)
    draws = [generator.standard_normal(p.shape).astype(p.data.dtype) for p in parameters]
    return [
        Tensor(transfer(draw, device_of(p.data))) for draw, p in zip(draws, parameters, strict=True)
    ]

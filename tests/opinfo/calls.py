"""Calling operations on samples: arrays to tensors and back, gradients along random directions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import tinynn as tn
from tests.opinfo.info import OpInfo, Sample
from tests.opinfo.tolerances import DIFFERENCE_STEP, DIFFERENCE_TOLERANCE
from tinynn.backend.devices import Device, transfer

Array = np.ndarray[Any, Any]


def replace_arrays(value: Any, convert: Callable[[Array], Any]) -> Any:
    """The value with every array in it converted, also inside lists, tuples and dicts."""
    if isinstance(value, np.ndarray):
        return convert(value)
    if isinstance(value, (list, tuple)):
        return type(value)(replace_arrays(item, convert) for item in value)
    if isinstance(value, dict):
        return {key: replace_arrays(item, convert) for key, item in value.items()}
    return value


def convert_sample(arguments: Sample, convert: Callable[[Array], Any]) -> Sample:
    """The sample with every array in it converted."""
    return Sample(
        replace_arrays(arguments.args, convert), replace_arrays(arguments.kwargs, convert)
    )


def widen(array: Array) -> Array:
    """Floats as float64, in which references compute; anything else as it is."""
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def flat(result: Any) -> list[Any]:
    """The results of an operation, which may return one or a (nested) tuple."""
    if isinstance(result, (tuple, list)):
        return [part for item in result for part in flat(item)]
    return [result]


def tensors_of(
    info: OpInfo, arguments: Sample, device: str = "cpu", requires_grad: bool = False
) -> tuple[Sample, list[tn.Tensor]]:
    """The sample with tensors for arrays, and those of them that take part in differentiation."""
    leaves: list[tn.Tensor] = []

    def wrap(array: Array, differentiable: bool) -> tn.Tensor:
        tensor = tn.Tensor(transfer(array, Device(device)))
        if differentiable and array.dtype.kind == "f":
            tensor.requires_grad_(requires_grad)
            leaves.append(tensor)
        return tensor

    args = replace_arrays(arguments.args, lambda array: wrap(array, True))
    kwargs = {
        name: replace_arrays(
            value, lambda array, name=name: wrap(array, name not in info.constants)
        )
        for name, value in arguments.kwargs.items()
    }
    return Sample(args, kwargs), leaves


def call(info: OpInfo, arguments: Sample) -> list[Any]:
    """The operation's results on a sample of tensors."""
    return flat(info(*arguments.args, **arguments.kwargs))


def to_numpy(tensor: tn.Tensor) -> Array:
    """The tensor's values on the host."""
    return np.asarray(transfer(tensor.data, Device("cpu")))


@contextmanager
def shown(arguments: object) -> Iterator[None]:
    """Adds the sample to the message of a test that fails on it."""
    try:
        yield
    except Exception as error:
        error.add_note(f"sample: {arguments}")
        raise


class Scalar:
    """An operation as one function, L(leaves) = sum of <w, result>, with random weights w.

    Its gradient is a vector-Jacobian product, and a difference of two of its values a
    Jacobian-vector product, so comparing the two checks the operation's rules.
    """

    def __init__(self, info: OpInfo, arguments: Sample, random: np.random.Generator) -> None:
        self.info, self.random = info, random
        self.arguments, self.leaves = tensors_of(info, arguments, requires_grad=True)
        with tn.no_grad():
            results = [part for part in self.results() if part.data.dtype.kind == "f"]
        self.weights = [self.direction(part.data) for part in results]

    def results(self) -> list[tn.Tensor]:
        return call(self.info, self.arguments)

    def floats(self) -> list[tn.Tensor]:
        return [part for part in self.results() if part.data.dtype.kind == "f"]

    def direction(self, array: Array) -> Array:
        """A random array of the shape and dtype of another."""
        return np.asarray(self.random.standard_normal(array.shape), array.dtype)

    def value(self) -> float:
        """L, computed by NumPy from the operation's results."""
        with tn.no_grad():
            return float(
                sum(
                    np.sum(weight * part.data)
                    for weight, part in zip(self.weights, self.floats(), strict=True)
                )
            )

    def gradients(self, weights: list[tn.Tensor], create_graph: bool = False) -> list[tn.Tensor]:
        """The gradient of L with respect to each leaf."""
        results = self.floats()
        pairs = [
            (part, weight)
            for part, weight in zip(results, weights, strict=True)
            if part.requires_grad
        ]
        found = tn.grad(
            [part for part, _ in pairs],
            self.leaves,
            [weight for _, weight in pairs],
            create_graph=create_graph,
            allow_unused=True,
        )
        return [
            tn.Tensor(np.zeros(leaf.shape, leaf.dtype)) if gradient is None else gradient
            for leaf, gradient in zip(self.leaves, found, strict=True)
        ]


def difference(function: Callable[[], float], tensor: tn.Tensor, direction: Array) -> float:
    """The derivative of a function of `tensor` along a direction, by a central difference."""
    point = tensor.data
    values = []
    for sign in (1, -1):
        tensor.data = np.asarray(point + sign * DIFFERENCE_STEP * direction)
        values.append(function())
    tensor.data = point
    return (values[0] - values[1]) / (2 * DIFFERENCE_STEP)


def assert_derivative(actual: float, expected: float) -> None:
    """A derivative agrees with a difference."""
    relative, absolute = DIFFERENCE_TOLERANCE
    np.testing.assert_allclose(actual, expected, rtol=relative, atol=absolute)

"""A multiply of 32 elements, forward and backward: what the tape costs, and nothing else.

The smallest operation with two gradients, alone and in a chain, x * w * w * ...: for each, a
program in tinynn, one in PyTorch, and one of the NumPy calls that they have in common.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

SIZE = 32
LENGTHS = (1, 100)
GOAL_SECONDS = 1.2e-6

Array = np.ndarray[Any, Any]
Program = Callable[[], Any]


def operands() -> tuple[Array, Array, Array]:
    """x, w and the gradient of the result; w so near 1 that a long chain stays finite."""
    random = np.random.default_rng(0)
    x, gradient = (random.uniform(0.5, 1.5, SIZE).astype(np.float32) for _ in range(2))
    return x, random.uniform(0.99, 1.01, SIZE).astype(np.float32), gradient


def in_tinynn(length: int) -> Program:
    """The chain in tinynn; returns the gradients of x and w, and leaves none behind."""
    import tinynn as tn

    x, w, gradient = (tn.tensor(array) for array in operands())
    return taped(x.requires_grad_(), w.requires_grad_(), gradient, length)


def in_torch(length: int) -> Program:
    """The chain in PyTorch."""
    import torch

    x, w, gradient = (torch.from_numpy(array) for array in operands())
    return taped(x.requires_grad_(), w.requires_grad_(), gradient, length)


def taped(x: Any, w: Any, gradient: Any, length: int) -> Program:
    """The chain with tensors that have a tape."""

    def program() -> tuple[Any, Any]:
        y = x
        for _ in range(length):
            y = y * w
        y.backward(gradient)
        result = x.grad, w.grad
        x.grad = w.grad = None
        return result

    return program


def in_numpy(length: int) -> Program:
    """The same array operations, written down by hand."""
    x, w, gradient = operands()

    def program() -> tuple[Array, Array]:
        y, factors = x, []
        for _ in range(length):
            factors.append(y)
            y = y * w
        w_gradient = gradient * factors.pop()
        y_gradient = gradient * w
        while factors:
            w_gradient += y_gradient * factors.pop()
            y_gradient = y_gradient * w
        return y_gradient, w_gradient

    return program

"""A linear layer and its activation in one."""

from __future__ import annotations

from typing import Any

from tinynn.backend.devices import array_module
from tinynn.backend.reference.activations import ACTIVATIONS, SAVES_INPUT
from tinynn.backend.reference.precision import narrowed, widened

Array = Any


def linear_activation(
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    activation: str | None,
    parameter: float = 0.0,
    out: Array | None = None,
) -> Any:
    """activation(x weight^T + bias).

    Arguments:
        x: [..., K] float.
        weight: [O, K]; bias: [O] or None.
        activation: None, "relu", "leaky_relu", "elu", "sigmoid", "tanh", "silu", "gelu" (exact) or
            "gelu_tanh".
        parameter: the negative slope of leaky_relu, the alpha of elu; at least 0.

    Returns out [..., O], from which `activation_backward` gets the gradient; for the activations in
    SAVES_INPUT (out, input of the activation), from whose second it does.
    """
    xp = array_module(x)
    pre = xp.matmul(widened(x), widened(weight).T)
    if bias is not None:
        pre = pre + widened(bias)
    result = narrowed(ACTIVATIONS[activation][0](xp, pre, parameter), x, out)
    return (result, narrowed(pre, x)) if activation in SAVES_INPUT else result


def activation_backward(
    g: Array,
    saved: Array,
    *,
    activation: str | None,
    parameter: float = 0.0,
    out: Array | None = None,
) -> Any:
    """The gradient through an activation, and through a bias before it.

    Arguments:
        g: [..., O], the gradient of the activation's output.
        saved: [..., O], what `linear_activation` returned last.

    Returns (gradient of the activation's input [..., O], its sum over all but the last axis [O]).
    """
    xp = array_module(g)
    gradient = ACTIVATIONS[activation][1](xp, widened(g), widened(saved), parameter)
    total = gradient.sum(axis=tuple(range(g.ndim - 1)))
    return narrowed(gradient, g, out), narrowed(total, g)

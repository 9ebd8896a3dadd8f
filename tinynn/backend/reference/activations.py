"""Activations and their derivatives, for the references of the kernels that contain one.

An activation is `forward(xp, x, parameter)`, its gradient `backward(xp, g, saved, parameter)`;
`saved` is the activation's output, or its input for those in SAVES_INPUT, whose derivative can't be
had from the output. `parameter` is the slope of leaky_relu and the alpha of elu, at least 0.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt
from typing import Any

from tinynn.backend.reference.special import erf

Array = Any

SAVES_INPUT = ("silu", "gelu", "gelu_tanh")

_TANH_SCALE, _TANH_CUBIC = sqrt(2 / pi), 0.044715


def _elu(xp: Any, x: Array, alpha: float) -> Array:
    return xp.where(x < 0, alpha * xp.expm1(xp.minimum(x, 0)), x)


def _sigmoid(xp: Any, x: Array) -> Array:
    # tanh cannot overflow, where e^-x can
    return 0.5 * xp.tanh(0.5 * x) + 0.5


def _silu_backward(xp: Any, g: Array, x: Array, parameter: float) -> Array:
    s = _sigmoid(xp, x)
    return g * (s * (1 + x * (1 - s)))


def _normal_cdf(x: Array) -> Array:
    return 0.5 * (1 + erf(x * sqrt(0.5)))


def _gelu_backward(xp: Any, g: Array, x: Array, parameter: float) -> Array:
    density = xp.exp(-0.5 * x * x) / sqrt(2 * pi)
    return g * (_normal_cdf(x) + x * density)


def _tanh_inner(x: Array) -> Array:
    return _TANH_SCALE * (x + _TANH_CUBIC * x * x * x)


def _gelu_tanh_backward(xp: Any, g: Array, x: Array, parameter: float) -> Array:
    t = xp.tanh(_tanh_inner(x))
    slope = _TANH_SCALE * (1 + 3 * _TANH_CUBIC * x * x)
    return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)


ACTIVATIONS: dict[str | None, tuple[Callable[..., Array], Callable[..., Array]]] = {
    None: (
        lambda xp, x, parameter: x,
        lambda xp, g, out, parameter: g.copy(),
    ),
    "relu": (
        lambda xp, x, parameter: xp.maximum(x, 0),
        lambda xp, g, out, parameter: xp.where(out <= 0, 0, g),
    ),
    "leaky_relu": (
        lambda xp, x, parameter: xp.where(x < 0, x * parameter, x),
        lambda xp, g, out, parameter: xp.where(out <= 0, g * parameter, g),
    ),
    "elu": (
        _elu,
        lambda xp, g, out, parameter: xp.where(out <= 0, g * (out + parameter), g),
    ),
    "sigmoid": (
        lambda xp, x, parameter: _sigmoid(xp, x),
        lambda xp, g, out, parameter: g * (1 - out) * out,
    ),
    "tanh": (
        lambda xp, x, parameter: xp.tanh(x),
        lambda xp, g, out, parameter: g * (1 - out * out),
    ),
    "silu": (
        lambda xp, x, parameter: x * _sigmoid(xp, x),
        _silu_backward,
    ),
    "gelu": (
        lambda xp, x, parameter: x * _normal_cdf(x),
        _gelu_backward,
    ),
    "gelu_tanh": (
        lambda xp, x, parameter: 0.5 * x * (1 + xp.tanh(_tanh_inner(x))),
        _gelu_tanh_backward,
    ),
}

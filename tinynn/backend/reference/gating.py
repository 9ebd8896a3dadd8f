"""The gate of a feed-forward block."""

from __future__ import annotations

from typing import Any

from tinynn.backend.devices import array_module
from tinynn.backend.reference.activations import ACTIVATIONS
from tinynn.backend.reference.precision import narrowed, widened

Array = Any


def gated_activation(x: Array, *, activation: str, out: Array | None = None) -> Array:
    """activation(gate) * up, where a row of x holds the gate and behind it what it lets through.

    Arguments:
        x: [..., 2 H] float.
        activation: "relu", "silu", "gelu" (exact) or "gelu_tanh".

    Returns out [..., H].
    """
    wide, half = widened(x), x.shape[-1] // 2
    forward = ACTIVATIONS[activation][0]
    gate = forward(array_module(x), wide[..., :half], 0.0)
    return narrowed(gate * wide[..., half:], x, out)

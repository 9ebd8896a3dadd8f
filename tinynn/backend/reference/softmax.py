"""Softmax over the last axis, and its gradient."""

from __future__ import annotations

from typing import Any

from tinynn.backend.devices import array_module
from tinynn.backend.reference.precision import narrowed, widened

Array = Any


def softmax(x: Array, *, out: Array | None = None) -> Array:
    """exp(x) over its sum along the last axis.

    x: [..., C] float. A row of -inf alone gives NaN, as one with a NaN or an infinity does.
    """
    xp, wide = array_module(x), widened(x)
    if not x.size:
        return x.copy()
    powers = xp.exp(wide - wide.max(axis=-1, keepdims=True))
    return narrowed(powers / powers.sum(axis=-1, keepdims=True), x, out)


def softmax_backward(g: Array, y: Array, *, out: Array | None = None) -> Array:
    """The gradient of x, y (g - sum(g y)), from that of y = softmax(x).

    g, y: [..., C] of one float dtype.
    """
    wide, its = widened(g), widened(y)
    mean = (wide * its).sum(axis=-1, keepdims=True)
    return narrowed(its * (wide - mean), y, out)

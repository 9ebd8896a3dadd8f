"""Products with a matrix that is kept in 16-bit floats."""

from __future__ import annotations

from typing import Any

from tinynn.backend.devices import array_module
from tinynn.backend.reference.precision import narrowed, widened

Array = Any


def half_linear(x: Array, weight: Array, bias: Array | None, *, out: Array | None = None) -> Array:
    """x weight^T + bias in the dtype of x, computed in float32 at least.

    Arguments:
        x: [..., K] float.
        weight: [outputs, K] of 16-bit floats, which is not copied as a whole.
        bias: [outputs] or None.

    Returns out [..., outputs].
    """
    result = array_module(x).matmul(widened(x), widened(weight).T)
    if bias is not None:
        result = result + widened(bias)
    return narrowed(result, x, out)

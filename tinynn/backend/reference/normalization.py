"""Layer normalization and RMS normalization over the last axis."""

from __future__ import annotations

from typing import Any

from tinynn.backend.devices import array_module
from tinynn.backend.reference.precision import narrowed, widened

Array = Any


def layer_norm(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    *,
    eps: float = 1e-5,
    out: Array | None = None,
) -> Any:
    """(x - mean) / sqrt(variance + eps) * weight + bias, over the last axis.

    Arguments:
        x: [..., C] float; weight, bias: [C] or None.

    Returns (out [..., C], mean [...], rstd [...]) with rstd = 1 / sqrt(variance + eps); mean and
    rstd are float32 where x is a 16-bit float. (Ba, Kiros, Hinton, "Layer normalization", 2016)
    """
    xp, wide = array_module(x), widened(x)
    mean = wide.mean(axis=-1, keepdims=True)
    centred = wide - mean
    rstd = 1 / xp.sqrt((centred * centred).mean(axis=-1, keepdims=True) + eps)
    result = _affine(centred * rstd, weight, bias)
    return narrowed(result, x, out), mean[..., 0], rstd[..., 0]


def layer_norm_backward(
    g: Array,
    x: Array,
    weight: Array | None,
    mean: Array,
    rstd: Array,
    *,
    out: Array | None = None,
) -> Any:
    """The gradients of `layer_norm`.

    Arguments: g [..., C], the gradient of out; x and weight as they were; mean, rstd as returned.

    Returns the gradients of (x [..., C], weight [C], bias [C]), also where weight or bias was None.
    """
    wide_g, rstd = widened(g), rstd[..., None]
    normalized = (widened(x) - mean[..., None]) * rstd
    scaled = _affine(wide_g, weight, None)
    correlation = (scaled * normalized).mean(axis=-1, keepdims=True)
    gradient = rstd * (scaled - scaled.mean(axis=-1, keepdims=True) - normalized * correlation)
    return (
        narrowed(gradient, x, out),
        narrowed(_sum_of_rows(wide_g * normalized), x),
        narrowed(_sum_of_rows(wide_g), x),
    )


def rms_norm(x: Array, weight: Array | None, *, eps: float = 1e-6, out: Array | None = None) -> Any:
    """x / sqrt(mean(x^2) + eps) * weight, over the last axis.

    Arguments:
        x: [..., C] float; weight: [C] or None.

    Returns (out [..., C], rstd [...]) with rstd = 1 / sqrt(mean(x^2) + eps), float32 where x is a
    16-bit float. (Zhang, Sennrich, "Root mean square layer normalization", 2019)
    """
    xp, wide = array_module(x), widened(x)
    rstd = 1 / xp.sqrt((wide * wide).mean(axis=-1, keepdims=True) + eps)
    return narrowed(_affine(wide * rstd, weight, None), x, out), rstd[..., 0]


def rms_norm_backward(
    g: Array, x: Array, weight: Array | None, rstd: Array, *, out: Array | None = None
) -> Any:
    """The gradients of `rms_norm`: of (x [..., C], weight [C]), also where weight was None."""
    wide_g, rstd = widened(g), rstd[..., None]
    normalized = widened(x) * rstd
    scaled = _affine(wide_g, weight, None)
    correlation = (scaled * normalized).mean(axis=-1, keepdims=True)
    gradient = rstd * (scaled - normalized * correlation)
    return narrowed(gradient, x, out), narrowed(_sum_of_rows(wide_g * normalized), x)


def _affine(x: Array, weight: Array | None, bias: Array | None) -> Array:
    result = x if weight is None else x * widened(weight)
    return result if bias is None else result + widened(bias)


def _sum_of_rows(x: Array) -> Array:
    return x.sum(axis=tuple(range(x.ndim - 1)))

"""Softmax and cross-entropy in one pass over the logits, which gives the gradient as well."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np
from numba import prange

from tinynn.kernels.cpu.activations import scalar
from tinynn.kernels.cpu.arrays import Array, uniform
from tinynn.kernels.cpu.compiler import twins
from tinynn.kernels.cpu.elementary import exp, like
from tinynn.kernels.cpu.reductions import highest, total

_GRAIN = 1 << 17


def softmax_cross_entropy(
    logits: Array,
    target: Array,
    weight: Array | None,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    out: Array | None = None,
) -> Any:
    """(loss, gradient of the logits for a gradient of 1); see the reference of the same name."""
    if not uniform(logits, weight) or logits.ndim != 2 or out is not None:
        return NotImplemented
    target = target.astype(np.int64, copy=False).ravel()
    losses = np.empty(logits.shape[0], logits.dtype, like=logits)
    loss = np.empty(1, logits.dtype, like=logits)
    gradient = np.empty_like(logits)
    _loss_and_gradient(
        logits.size,
        logits,
        target,
        weight,
        ignore_index,
        label_smoothing,
        reduction == "mean",
        losses,
        loss,
        gradient,
    )
    return (losses if reduction == "none" else loss.reshape(())), gradient


@scalar
def _row(x, label, weight, all_weights, smoothing, scale, gradient):
    """The loss of one row; with p = softmax(x), and w the weights (1 without them), it is

    -(1 - smoothing) w[label] log p[label] - smoothing / classes * sum(w * log p)
    """
    classes = x.shape[0]
    top = highest(x)
    for j in range(classes):
        gradient[j] = exp(x[j] - top)
    denominator = total(gradient)
    log_sum = like(x, log(denominator))

    on_label = (1.0 - smoothing) * (1.0 if weight is None else weight[label])
    on_each = smoothing / classes
    loss = on_label * (log_sum - (x[label] - top))
    if on_each != 0.0:
        for j in range(classes):
            loss += on_each * (1.0 if weight is None else weight[j]) * (log_sum - (x[j] - top))

    factor = like(x, scale * (on_label + on_each * all_weights) / denominator)
    share = like(x, scale * on_each)
    for j in range(classes):
        part = share if weight is None else share * weight[j]
        gradient[j] = factor * gradient[j] - part
    gradient[label] -= like(x, scale * on_label)
    return loss


def _refuse(place, logits, target, *others):
    classes = logits.shape[1]
    raise IndexError(
        f"cross_entropy: target[{place}] is {target[place]}, but the logits have {classes} classes "
        f"(0 to {classes - 1})"
    )


@twins(_GRAIN, "losses", "loss", "gradient", refuse=_refuse)
def _loss_and_gradient(
    logits, target, weight, ignore_index, smoothing, mean, losses, loss, gradient
):
    count, classes = logits.shape
    weights, all_weights = 0.0, 0.0
    for i in range(count):
        label = target[i]
        if label != ignore_index:
            if label < 0 or label >= classes:
                return i
            weights += 1.0 if weight is None else weight[label]
    for j in range(classes):
        all_weights += 1.0 if weight is None else weight[j]
    scale = 1.0 / weights if mean else 1.0

    for i in prange(count):
        if target[i] == ignore_index:
            losses[i] = 0
            gradient[i] = 0
        else:
            losses[i] = _row(
                logits[i], target[i], weight, all_weights, smoothing, scale, gradient[i]
            )
    total_loss = 0.0
    for i in range(count):
        total_loss += losses[i]
    if mean:
        total_loss = total_loss / weights if weights != 0.0 else np.nan
    loss[0] = total_loss
    return -1

"""Softmax and cross-entropy in one."""

from __future__ import annotations

from typing import Any

from tinynn.backend import recording
from tinynn.backend.devices import array_module
from tinynn.backend.reference.precision import narrowed, widened

Array = Any


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
    """Cross-entropy between softmax(logits) and class indices, and its gradient.

    With p = softmax(logits[i]) and w the weights (1 without them), the loss of row i is
    -(1 - s) w[target] log p[target] - s / C * sum(w * log p), s being `label_smoothing`; 0 where
    the target is `ignore_index`. "mean" divides the sum by the weights of the targets that count.

    Arguments:
        logits: [N, C] float.
        target: [N] integers in 0 to C - 1, or `ignore_index`.
        weight: [C], of the logits' dtype, or None.
        reduction: "mean", "sum" or "none".

    Returns (loss [] or [N], gradient of the logits [N, C] for a gradient of 1 of every loss).
    Raises IndexError for a target out of range.
    """
    xp, wide = array_module(logits), widened(logits)
    counts = target != ignore_index
    recording.checked(_check_range, target, ignore_index, logits.shape[1])
    target = xp.where(counts, target, 0)
    classes = xp.arange(logits.shape[1])
    on_target = (classes == target[:, None]) & counts[:, None]
    weights = xp.ones(logits.shape[1], wide.dtype) if weight is None else widened(weight)

    # How much of each row's loss is -log p of each class: [N, C]
    share = (1 - label_smoothing) * xp.where(on_target, weights, 0)
    if label_smoothing:
        each = weights * (label_smoothing / logits.shape[1])
        share = share + xp.where(counts[:, None], each, 0)
    shifted = wide - (wide.max(axis=1, keepdims=True) if wide.size else 0)
    exponentials = xp.exp(shifted)
    denominator = exponentials.sum(axis=1, keepdims=True)
    log_p = shifted - xp.log(denominator)
    losses = -xp.where(share == 0, 0, share * log_p).sum(axis=1)
    gradient = share.sum(axis=1, keepdims=True) * (exponentials / denominator) - share
    gradient = xp.where(counts[:, None], gradient, 0)

    if reduction == "none":
        return narrowed(losses, logits), narrowed(gradient, logits)
    loss = losses.sum()
    if reduction == "mean":
        normalizer = xp.where(on_target, weights, 0).sum()
        loss, gradient = loss / normalizer, gradient / xp.where(normalizer == 0, 1, normalizer)
    return narrowed(xp.asarray(loss), logits), narrowed(gradient, logits)


def _check_range(target: Array, ignore_index: int, classes: int) -> None:
    bad = (target != ignore_index) & ((target < 0) | (target >= classes))
    if bool(bad.any()):
        place = int(bad.argmax())
        raise IndexError(
            f"cross_entropy: target[{place}] is {int(target[place])}, but the logits have "
            f"{classes} classes (0 to {classes - 1})"
        )

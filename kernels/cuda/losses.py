"""Softmax and cross-entropy in one pass over the logits, which gives the gradient as well."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynn.kernels.cuda import compiler
from tinynn.kernels.cuda.arrays import TYPES, Array, uniform, wide
from tinynn.kernels.cuda.rows import launch_on_rows, row_instantiations

_SOURCE = "losses.cu"
_ONE_BLOCK = 1024  # threads, as in the source
INSTANTIATIONS = [
    *row_instantiations(_SOURCE, "loss_and_gradient"),
    *(
        (_SOURCE, f"{kernel}<{element}>")
        for kernel in ("look_at_targets", "reduce_losses")
        for element in TYPES.values()
    ),
]


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
    if not uniform(logits, weight) or logits.ndim != 2 or out is not None or not logits.size:
        return NotImplemented
    (rows, classes), dtype = logits.shape, logits.dtype
    target = target.astype(np.int64, copy=False).ravel()
    totals = np.empty(2, np.float64, like=logits)
    bad = np.empty(1, np.int64, like=logits)
    losses = np.empty(rows, wide(dtype), like=logits)
    loss = np.empty(rows if reduction == "none" else 1, dtype, like=logits)
    gradient = np.empty_like(logits)
    reduce, mean = reduction != "none", reduction == "mean"
    element, ignored = TYPES[dtype.name], np.int64(ignore_index)
    size = np.int64(rows), np.int32(classes)

    compiler.load(_SOURCE, f"look_at_targets<{element}>")(
        (1,), (_ONE_BLOCK,), (target, weight, totals, *size, ignored, bad), refuse=_refuse
    )
    launch_on_rows(
        _SOURCE,
        "loss_and_gradient",
        logits,
        (weight, gradient),
        *(logits, target, weight, totals, losses, gradient),
        *size,
        ignored,
        np.float64(label_smoothing),
        np.bool_(mean),
    )
    compiler.load(_SOURCE, f"reduce_losses<{element}>")(
        (1 if reduce else -(-rows // _ONE_BLOCK),),
        (_ONE_BLOCK,),
        (losses, totals, loss, size[0], np.bool_(reduce), np.bool_(mean)),
    )
    return (loss.reshape(()) if reduce else loss), gradient


def _refuse(place: int, target: Array, *others: Any) -> None:
    classes = int(others[3])
    raise IndexError(
        f"cross_entropy: target[{place}] is {int(target[place])}, but the logits have {classes} "
        f"classes (0 to {classes - 1})"
    )

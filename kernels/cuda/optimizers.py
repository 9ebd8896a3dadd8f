"""Optimizer steps over flat memory: one pass that reads and writes each array once."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynn.kernels.cuda import compiler
from tinynn.kernels.cuda.arrays import THREADS, TYPES, Array, aligned, blocks_for, live, uniform

_SOURCE = "optimizers.cu"
_GROUP = 16  # bytes that are read at once
INSTANTIATIONS = [
    (_SOURCE, f"{kernel}<{element}, {whole}>")
    for kernel in ("sgd_step", "adamw_step")
    for element in TYPES.values()
    for whole in ("true", "false")
]


def sgd_step(
    parameters: Array,
    gradients: Array,
    momentum_buffer: Array | None = None,
    *,
    lr: Any,
    momentum: Any = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
) -> Any:
    """One step of stochastic gradient descent, in place; see the reference of the same name."""
    arrays = (parameters, gradients, momentum_buffer)
    if not uniform(*arrays):
        return NotImplemented
    _launch(
        "sgd_step",
        arrays,
        *live(lr),
        *live(momentum),
        np.float64(1.0 - dampening),
        np.float64(weight_decay),
        np.float64(-1.0 if maximize else 1.0),
        np.bool_(nesterov),
    )
    return None


def adamw_step(
    parameters: Array,
    gradients: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    max_exp_avg_sq: Array | None = None,
    *,
    lr: Any,
    betas: tuple[Any, Any] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    step: Any,
    maximize: bool = False,
) -> Any:
    """One step of AdamW, in place; see the reference of the same name."""
    arrays = (parameters, gradients, exp_avg, exp_avg_sq, max_exp_avg_sq)
    if not uniform(*arrays):
        return NotImplemented
    _launch(
        "adamw_step",
        arrays,
        *live(lr),
        *live(betas[0]),
        *live(betas[1]),
        *live(step),
        np.float64(eps),
        np.float64(weight_decay),
        np.float64(-1.0 if maximize else 1.0),
    )
    return None


def _launch(kernel: str, arrays: tuple[Array | None, ...], *arguments: Any) -> None:
    count, dtype = arrays[0].size, arrays[0].dtype  # type: ignore[union-attr]
    if not count:
        return
    whole = str(aligned(_GROUP, *arrays)).lower()
    groups = -(-count * dtype.itemsize // _GROUP)
    compiler.load(_SOURCE, f"{kernel}<{TYPES[dtype.name]}, {whole}>")(
        (blocks_for(groups, compiler.current_device()[1]),),
        (THREADS,),
        (*arrays, np.int64(count), *arguments),
    )


sgd_step.mutates = (0, 2)  # type: ignore[attr-defined]
adamw_step.mutates = (0, 2, 3, 4)  # type: ignore[attr-defined]

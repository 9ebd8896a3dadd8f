"""Optimizer steps over flat memory: one pass that reads and writes each array once."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numba import prange

from tinynn.kernels.cpu.arrays import Array, cell, uniform
from tinynn.kernels.cpu.compiler import twins
from tinynn.kernels.cpu.elementary import like

_GRAIN = 1 << 19


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
    if not uniform(parameters, gradients, momentum_buffer):
        return NotImplemented
    lr, sign = cell(lr), -1.0 if maximize else 1.0
    if momentum_buffer is None:
        _descend(
            parameters.size,
            parameters.ravel(),
            gradients.ravel(),
            lr,
            sign,
            weight_decay,
        )
        return None
    _descend_with_momentum(
        parameters.size,
        parameters.ravel(),
        gradients.ravel(),
        momentum_buffer.ravel(),
        lr,
        sign,
        weight_decay,
        cell(momentum),
        1.0 - dampening,
        nesterov,
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
    if not uniform(parameters, gradients, exp_avg, exp_avg_sq, max_exp_avg_sq):
        return NotImplemented
    beta1, beta2 = betas
    _adamw(
        parameters.size,
        parameters.ravel(),
        gradients.ravel(),
        exp_avg.ravel(),
        exp_avg_sq.ravel(),
        None if max_exp_avg_sq is None else max_exp_avg_sq.ravel(),
        -1.0 if maximize else 1.0,
        cell(beta1),
        cell(beta2),
        eps,
        weight_decay,
        cell(lr),
        cell(step),
    )
    return None


@twins(_GRAIN, "parameters")
def _descend(parameters, gradients, lr, sign, weight_decay):
    rate, decay = like(parameters, sign * lr[0]), like(parameters, weight_decay * lr[0])
    for i in prange(parameters.shape[0]):
        parameters[i] -= rate * gradients[i] + decay * parameters[i]


@twins(_GRAIN, "parameters", "buffer")
def _descend_with_momentum(
    parameters, gradients, buffer, lr, sign, decay, momentum, take, nesterov
):
    rate, sign, decay = like(parameters, lr[0]), like(parameters, sign), like(parameters, decay)
    keep, take = like(parameters, momentum[0]), like(parameters, take)
    along_gradient = like(parameters, 1.0 if nesterov else 0.0)
    along_buffer = like(parameters, momentum[0] if nesterov else 1.0)
    for i in prange(parameters.shape[0]):
        gradient = sign * gradients[i] + decay * parameters[i]
        moving = keep * buffer[i] + take * gradient
        buffer[i] = moving
        parameters[i] -= rate * (along_gradient * gradient + along_buffer * moving)


@twins(_GRAIN, "parameters", "first", "second", "highest")
def _adamw(
    parameters, gradients, first, second, highest, sign, beta1, beta2, eps, weight_decay, lr, step
):
    keep1, take1 = like(parameters, beta1[0]), like(parameters, 1.0 - beta1[0])
    keep2, take2 = like(parameters, beta2[0]), like(parameters, 1.0 - beta2[0])
    sign, eps = like(parameters, sign), like(parameters, eps)
    shrink = like(parameters, 1.0 - lr[0] * weight_decay)
    rate = like(parameters, lr[0] / (1.0 - beta1[0] ** step[0]))
    correction = like(parameters, 1.0 / sqrt(1.0 - beta2[0] ** step[0]))
    for i in prange(parameters.shape[0]):
        gradient = sign * gradients[i]
        mean = keep1 * first[i] + take1 * gradient
        square = keep2 * second[i] + take2 * gradient * gradient
        first[i], second[i] = mean, square
        if highest is not None:
            square = max(square, highest[i])
            highest[i] = square
        scale = np.sqrt(square) * correction + eps
        parameters[i] = shrink * parameters[i] - rate * mean / scale


sgd_step.mutates = (0, 2)  # type: ignore[attr-defined]
adamw_step.mutates = (0, 2, 3, 4)  # type: ignore[attr-defined]

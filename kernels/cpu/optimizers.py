"""Optimizer steps over flat memory: one pass that reads and writes each array once."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numba import prange

from tinynn.kernels.cpu.arrays import Array, number, uniform
from tinynn.kernels.cpu.compiler import twins
from tinynn.kernels.cpu.elementary import like

_GRAIN = 1 << 19


def sgd_step(
    parameters: Array,
    gradients: Array,
    momentum_buffer: Array | None = None,
    *,
    lr: Any,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
) -> Any:
    """One step of stochastic gradient descent, in place; see the reference of the same name."""
    if not uniform(parameters, gradients, momentum_buffer):
        return NotImplemented
    lr, sign = number(lr), -1.0 if maximize else 1.0
    if momentum_buffer is None:
        _descend(
            parameters.size,
            parameters.ravel(),
            gradients.ravel(),
            sign * lr,
            weight_decay * lr,
        )
        return None
    along_gradient, along_buffer = (1.0, momentum) if nesterov else (0.0, 1.0)
    _descend_with_momentum(
        parameters.size,
        parameters.ravel(),
        gradients.ravel(),
        momentum_buffer.ravel(),
        lr,
        sign,
        weight_decay,
        momentum,
        1.0 - dampening,
        along_gradient,
        along_buffer,
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
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
    step: Any,
    maximize: bool = False,
) -> Any:
    """One step of AdamW, in place; see the reference of the same name."""
    if not uniform(parameters, gradients, exp_avg, exp_avg_sq, max_exp_avg_sq):
        return NotImplemented
    lr, step, (beta1, beta2) = number(lr), number(step), betas
    _adamw(
        parameters.size,
        parameters.ravel(),
        gradients.ravel(),
        exp_avg.ravel(),
        exp_avg_sq.ravel(),
        None if max_exp_avg_sq is None else max_exp_avg_sq.ravel(),
        -1.0 if maximize else 1.0,
        beta1,
        beta2,
        eps,
        1.0 - lr * weight_decay,
        lr / (1.0 - beta1**step),
        1.0 / sqrt(1.0 - beta2**step),
    )
    return None


@twins(_GRAIN)
def _descend(parameters, gradients, rate, decay):
    rate, decay = like(parameters, rate), like(parameters, decay)
    for i in prange(parameters.shape[0]):
        parameters[i] -= rate * gradients[i] + decay * parameters[i]


@twins(_GRAIN)
def _descend_with_momentum(
    parameters, gradients, buffer, rate, sign, decay, keep, take, along_gradient, along_buffer
):
    rate, sign, decay = like(parameters, rate), like(parameters, sign), like(parameters, decay)
    keep, take = like(parameters, keep), like(parameters, take)
    along_gradient = like(parameters, along_gradient)
    along_buffer = like(parameters, along_buffer)
    for i in prange(parameters.shape[0]):
        gradient = sign * gradients[i] + decay * parameters[i]
        moving = keep * buffer[i] + take * gradient
        buffer[i] = moving
        parameters[i] -= rate * (along_gradient * gradient + along_buffer * moving)


@twins(_GRAIN)
def _adamw(
    parameters, gradients, first, second, highest, sign, beta1, beta2, eps, shrink, rate, correction
):
    keep1, take1 = like(parameters, beta1), like(parameters, 1.0 - beta1)
    keep2, take2 = like(parameters, beta2), like(parameters, 1.0 - beta2)
    sign, eps, shrink = like(parameters, sign), like(parameters, eps), like(parameters, shrink)
    rate, correction = like(parameters, rate), like(parameters, correction)
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

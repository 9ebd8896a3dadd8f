"""Optimizer steps over flat memory, in place."""

from __future__ import annotations

from typing import Any

from tinynn.backend.devices import array_module
from tinynn.backend.reference.precision import scalar, widened

Array = Any


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
) -> None:
    """One step of stochastic gradient descent, as torch.optim.SGD.

    g = gradient + weight_decay * parameter;  buffer = momentum * buffer + (1 - dampening) * g;
    parameter -= lr * (g + momentum * buffer with nesterov, else buffer).

    Arguments:
        parameters, gradients: the same shape and dtype; parameters are changed.
        momentum_buffer: the same shape, changed; None without momentum. PyTorch's first step makes
            the buffer the gradient: that is a buffer of zeros and no dampening.
        lr, momentum: a number, or an array of one element.
        maximize: goes up the gradient instead of down.
    """
    wide, g = widened(parameters), widened(gradients)
    g = -g if maximize else g
    if weight_decay:
        g = g + weight_decay * wide
    if momentum_buffer is not None:
        momentum = scalar(momentum, wide)
        buffer = momentum * widened(momentum_buffer) + (1 - dampening) * g
        momentum_buffer[...] = buffer.astype(momentum_buffer.dtype)
        g = g + momentum * buffer if nesterov else buffer
    parameters[...] = (wide - scalar(lr, wide) * g).astype(parameters.dtype)


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
) -> None:
    """One step of AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019).

    Arguments:
        parameters, gradients: the same shape and dtype; parameters are changed.
        exp_avg, exp_avg_sq: running means of the gradient and of its square, zeros before the first
            step, changed.
        max_exp_avg_sq: the largest exp_avg_sq so far (AMSGrad), changed; None without.
        lr, betas: numbers, or arrays of one element.
        step: 1 on the first step; a number, or an array of one element.
    """
    xp, wide = array_module(parameters), widened(parameters)
    keep1, keep2 = (scalar(beta, wide) for beta in betas)
    take1, take2 = (scalar(1 - beta, wide) for beta in betas)
    g = -widened(gradients) if maximize else widened(gradients)
    mean = keep1 * widened(exp_avg) + take1 * g
    square = keep2 * widened(exp_avg_sq) + take2 * g * g
    exp_avg[...] = mean.astype(exp_avg.dtype)
    exp_avg_sq[...] = square.astype(exp_avg_sq.dtype)
    if max_exp_avg_sq is not None:
        square = xp.maximum(square, widened(max_exp_avg_sq))
        max_exp_avg_sq[...] = square.astype(max_exp_avg_sq.dtype)
    # In float64, because 1 - 0.999^1 has few digits in float32.
    step = step.astype("float64") if hasattr(step, "astype") else step
    correction1, correction2 = (1 - beta**step for beta in betas)
    rate = scalar(lr / correction1, wide)
    denominator = xp.sqrt(square) * scalar(correction2**-0.5, wide) + eps
    result = wide * scalar(1 - lr * weight_decay, wide) - rate * mean / denominator
    parameters[...] = result.astype(parameters.dtype)


sgd_step.mutates = (0, 2)  # type: ignore[attr-defined]
adamw_step.mutates = (0, 2, 3, 4)  # type: ignore[attr-defined]

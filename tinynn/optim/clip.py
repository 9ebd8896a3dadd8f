"""Gradient clipping, by the norm of all gradients together or by value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.autograd import Tensor
from tinynn.backend.devices import array_module
from tinynn.optim.flat_parameters import gradient_runs

if TYPE_CHECKING:
    from collections.abc import Iterable


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scales gradients down, in place, so that their norm, as one vector, is at most `max_norm`.

    Pascanu, Mikolov and Bengio (2013). Parameters without a gradient are passed over.

    Arguments:
        parameters: tensors whose `.grad` is clipped.
        max_norm: the largest norm that is left as it is.
        norm_type: 2, 1, any other positive p, or `math.inf` for the largest absolute value.
        error_if_nonfinite: RuntimeError, before anything is scaled, where the norm is infinite or
            NaN.

    Returns the norm before clipping, a 0-d tensor.

    >>> import tinynn as tn
    >>> w = tn.tensor([1.0, 1.0], requires_grad=True)
    >>> (w * tn.tensor([3.0, 4.0])).sum().backward()
    >>> tn.nn.utils.clip_grad_norm_([w], max_norm=1.0).item()
    5.0
    >>> [round(value, 4) for value in w.grad.tolist()]
    [0.6, 0.8]
    """
    parameters = _as_list(parameters)
    norm_type = float(norm_type)
    if not norm_type > 0:
        raise ValueError(f"clip_grad_norm_: norm_type must be positive, got {norm_type}")
    runs = list(gradient_runs(parameters))
    if not runs:
        return Tensor(np.zeros((), np.float32))
    xp = array_module(runs[0])
    norms = [_norm(xp, run, norm_type) for run in runs]
    total = norms[0] if len(norms) == 1 else _norm(xp, xp.stack(norms), norm_type)
    if error_if_nonfinite and not bool(xp.isfinite(total)):
        raise RuntimeError(
            f"clip_grad_norm_: the norm of order {norm_type} of the gradients is {float(total)}; "
            "look for what overflows, or pass error_if_nonfinite=False"
        )
    factor = xp.minimum(max_norm / (total + 1e-6), 1.0)
    for run in runs:
        run *= factor.astype(run.dtype)
    _bump(parameters)
    return Tensor(total)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Brings every element of the gradients, in place, into [-clip_value, clip_value].

    >>> import tinynn as tn
    >>> w = tn.tensor([1.0, 1.0], requires_grad=True)
    >>> (w * tn.tensor([3.0, -0.5])).sum().backward()
    >>> tn.nn.utils.clip_grad_value_([w], 1.0)
    >>> w.grad.tolist()
    [1.0, -0.5]
    """
    parameters = _as_list(parameters)
    for run in gradient_runs(parameters):
        array_module(run).clip(run, -clip_value, clip_value, out=run)
    _bump(parameters)


def _as_list(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [parameters] if isinstance(parameters, Tensor) else list(parameters)


def _norm(xp: Any, array: Any, norm_type: float) -> Any:
    """The norm of an array as one vector, 16-bit floats being summed in float32."""
    wide = array.astype(np.result_type(array.dtype, np.float32), copy=False).reshape(-1)
    if norm_type == 2:
        return xp.sqrt(xp.asarray(wide.dot(wide)))
    return xp.asarray(xp.linalg.norm(wide, norm_type))


def _bump(parameters: list[Tensor]) -> None:
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.bump_version()

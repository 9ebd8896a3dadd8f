"""Comparing a replay with the function itself, from the same state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinynn.autograd.tensor import Tensor
from tinynn.backend.random import get_rng_state, set_rng_state
from tinynn.capture.buffers import Buffer
from tinynn.capture.errors import CaptureError
from tinynn.capture.plan import Plan


def compare_with_eager(
    plan: Plan,
    arrays: list[Any],
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
) -> Any:
    """Replays a plan, puts everything back, runs the function, and returns its result.

    Raises CaptureError where results, or memory that the plan reads or writes, differ: at all, or
    by more than rounding where operations were joined or an argument does not lie in order.
    """
    rounds = plan.is_fused or not all(array.flags.c_contiguous for array in arrays)
    memory = {buffer: _array_of(buffer, arrays) for buffer in plan.memory_of_others()}
    before = {buffer: memory[buffer].copy() for buffer in plan.written}
    random, put_back = get_rng_state(), plan.host.save()
    gradients = [(gradient.leaf, gradient.leaf.grad) for gradient in plan.gradients]

    replayed = plan.replay(arrays)
    after = {buffer: array.copy() for buffer, array in memory.items()}
    for buffer, contents in before.items():
        memory[buffer][...] = contents
    put_back()
    set_rng_state(random)
    for leaf, gradient in gradients:
        leaf.grad = gradient

    result = function(*arguments, **keywords)
    _compare("a result", _leaves(replayed), _leaves(result), rounds)
    for buffer, array in memory.items():
        _compare(f"memory of shape {array.shape}", [after[buffer]], [array], rounds)
    return result


def _array_of(buffer: Buffer, arrays: list[Any]) -> Any:
    """The memory of a buffer of others, or of an argument."""
    return arrays[buffer.position] if buffer.position >= 0 else buffer.array


def _compare(name: str, replayed: list[Any], eager: list[Any], rounds: bool) -> None:
    for one, other in zip(replayed, eager, strict=True):
        distance, allowed = _distance(one, other)
        allowed = allowed if rounds else 0.0
        if not distance <= allowed:
            raise CaptureError(
                f"compile: the replay differs from the function: {name} by up to {distance:.3g}, "
                f"where rounding explains {allowed:.3g}. The function does something that a "
                "recorder cannot see, such as a change of tensor.data or of a NumPy array"
            )


def _distance(one: Any, other: Any) -> tuple[float, float]:
    """The greatest difference, and what rounding may make it: the root of the dtype's precision,
    relative to the greatest number, since a step adds up many products."""
    if other.dtype.kind not in "fV":
        return float(np.count_nonzero(one != other)), 0.0
    first, second = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if not second.size:
        return 0.0, 0.0
    both_nan = np.isnan(first) & np.isnan(second)
    with np.errstate(invalid="ignore"):
        gap = np.where(both_nan | (first == second), 0.0, np.abs(first - second))
    precision = 2.0 ** (-8 * other.dtype.itemsize + 9)
    finite = np.abs(second[np.isfinite(second)])
    return float(gap.max()), float(precision**0.5 * finite.max(initial=0.0))


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, Tensor):
        return [value.data]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value] if hasattr(value, "dtype") else []

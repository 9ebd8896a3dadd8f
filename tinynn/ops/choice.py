"""One of several values for each element: within bounds, the larger, the smaller, by a condition.

Gradients follow PyTorch at the points where there is a choice: clamp passes them at its bounds, and
equal arguments of maximum and minimum get half each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynn.autograd.door import promote_inputs
from tinynn.autograd.operation import Operation
from tinynn.autograd.tensor import Tensor
from tinynn.backend.dtypes import result_type
from tinynn.ops.like import full_like
from tinynn.ops.registry import apply, declare, public

if TYPE_CHECKING:
    from tinynn.ops.arithmetic import Operand


def _clamp(xp: Any, x: Any, low: Any, high: Any) -> Any:
    bounded = x if low is None else xp.maximum(x, low)
    return bounded if high is None else xp.minimum(bounded, high)


def _clamp_input(F: Any, g: Any, x: Any, low: Any, high: Any) -> Any:
    if low is not None:
        g = F.where(x < low, 0.0, g)
    return g if high is None else F.where(x > high, 0.0, g)


def _clamp_low(F: Any, g: Any, x: Any, low: Any, high: Any) -> Any:
    chosen = x < low
    return F.where(chosen if high is None else chosen & (low < high), g, 0.0)


def _clamp_high(F: Any, g: Any, x: Any, low: Any, high: Any) -> Any:
    chosen = x > high
    return F.where(chosen if low is None else chosen | (low > high), g, 0.0)


def _share(F: Any, g: Any, ours: Any, others: Any) -> Any:
    """The gradient where `ours` is the larger one, half of it where both are equal."""
    return F.where(ours == others, g * 0.5, F.where(ours < others, 0.0, g))


CLAMP = declare(
    "clamp",
    _clamp,
    saves=("x", "low", "high"),
    vjps=(_clamp_input, _clamp_low, _clamp_high),
    promotes="common",
    broadcasts=True,
    borrows=True,
)
MAXIMUM = declare(
    "maximum",
    lambda xp, a, b: xp.maximum(a, b),
    saves=("a", "b"),
    vjps=(lambda F, g, a, b: _share(F, g, a, b), lambda F, g, a, b: _share(F, g, b, a)),
    promotes="common",
    broadcasts=True,
)
MINIMUM = declare(
    "minimum",
    lambda xp, a, b: xp.minimum(a, b),
    saves=("a", "b"),
    vjps=(lambda F, g, a, b: _share(F, g, b, a), lambda F, g, a, b: _share(F, g, a, b)),
    promotes="common",
    broadcasts=True,
)
WHERE = declare(
    "where",
    lambda xp, condition, a, b: xp.where(condition, a, b),
    saves=("condition",),
    vjps=(
        None,
        lambda F, g, condition: F.where(condition, g, 0.0),
        lambda F, g, condition: F.where(condition, 0.0, g),
    ),
    broadcasts=True,
)
# What `where` chooses from is promoted to a common dtype, the condition is not.
_CHOICES = Operation("where", ("input", "other"), promotes="common")


@public
def clamp(input: Tensor, min: Operand | None = None, max: Operand | None = None) -> Tensor:
    """Each element brought to between min and max, numbers or tensors, either of which may be None.

    Where min is above max, the result is max. The gradient passes inside the bounds and at them.

    Raises RuntimeError without any bound.

    >>> import tinynn as tn
    >>> tn.clamp(tn.tensor([-1.5, 0.5, 2.0]), -1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    return _bounded("clamp", input, min, max)


@public
def clip(input: Tensor, min: Operand | None = None, max: Operand | None = None) -> Tensor:
    """Another name of `clamp`.

    >>> import tinynn as tn
    >>> tn.clip(tn.tensor([-1, 0, 2]), max=1)
    tensor([-1,  0,  1])
    """
    return _bounded("clip", input, min, max)


def _bounded(name: str, input: Tensor, min: Operand | None, max: Operand | None) -> Tensor:
    if min is None and max is None:
        raise RuntimeError(f"{name}: min and max are both None; give one of them")
    return apply(CLAMP, (input, min, max))


@public
def maximum(input: Operand, other: Operand) -> Tensor:
    """The larger one of each pair, broadcast; nan where one is nan.

    >>> import tinynn as tn
    >>> tn.maximum(tn.tensor([1, 5]), tn.tensor([3, 2]))
    tensor([3, 5])
    """
    return apply(MAXIMUM, (input, other))


@public
def minimum(input: Operand, other: Operand) -> Tensor:
    """The smaller one of each pair, broadcast; nan where one is nan.

    >>> import tinynn as tn
    >>> tn.minimum(tn.tensor([1, 5]), tn.tensor([3, 2]))
    tensor([1, 2])
    """
    return apply(MINIMUM, (input, other))


@public
def where(condition: Tensor, input: Operand, other: Operand) -> Tensor:
    """Elements of `input` where the condition is true, of `other` elsewhere, broadcast.

    Raises TypeError if the condition is not a tensor, RuntimeError if it is not one of bools.

    >>> import tinynn as tn
    >>> x = tn.tensor([-1.0, 2.0])
    >>> tn.where(x > 0, x, 0)
    tensor([0., 2.])
    """
    if not isinstance(condition, Tensor):
        raise TypeError(f"where: condition must be a tensor, got {type(condition).__name__}")
    if condition.data.dtype.kind != "b":
        raise RuntimeError(
            f"where: condition must be a tensor of bools, got {condition.dtype}; "
            "compare it with something (condition != 0)"
        )
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        dtype = result_type([], [input, other])
        input = full_like(condition, input, dtype=dtype)
    chosen, rest = promote_inputs(_CHOICES, (input, other))
    return apply(WHERE, (condition, chosen, rest))


def where_method(self: Tensor, condition: Tensor, other: Operand) -> Tensor:
    """Its elements where the condition is true, those of `other` elsewhere.

    >>> import tinynn as tn
    >>> x = tn.tensor([-1.0, 2.0])
    >>> x.where(x > 0, 0)
    tensor([0., 2.])
    """
    return where(condition, self, other)

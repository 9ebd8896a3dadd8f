"""Changes in place: of data, never of a recorded computation.

Each needs that nothing is being recorded: under `no_grad`, or with no tensor that requires grad.
What a graph saved before the change will then refuse to run backward, and say so.
"""

from __future__ import annotations

import operator
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.autograd.door import explain, find_backend, seen
from tinynn.autograd.grad_mode import Mode, grad_mode
from tinynn.autograd.operation import Operation
from tinynn.autograd.tensor import Tensor
from tinynn.backend import recording
from tinynn.backend.dtypes import DEFAULT_FLOAT, category, is_floating, result_type
from tinynn.ops import arithmetic, choice, comparison, gathering
from tinynn.ops.creation import as_tensor
from tinynn.ops.indexing import in_turn
from tinynn.ops.slicing import index_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinynn.ops.arithmetic import Operand


def writable(name: str, target: Tensor, *others: Any) -> None:
    """RuntimeError where a change in place would have to be recorded."""
    tensors = [item for item in (target, *others) if isinstance(item, Tensor)]
    if grad_mode.enabled and any(item.node is not None for item in tensors):
        raise RuntimeError(
            f"{name}: changes in place are not recorded, and a tensor here requires grad; do it "
            "under tn.no_grad(), or make a new tensor (x = x + ...)"
        )


def _fits(name: str, dtype: Any, target: Tensor) -> None:
    """RuntimeError where a result of some dtype would lose its fraction, or be made bools."""
    if category(dtype) > category(target.data.dtype):
        raise RuntimeError(
            f"{name}: the result is {dtype} and does not fit into this tensor of "
            f"{target.data.dtype}; make a new tensor"
        )


def _write(operation: Operation, ufunc: str, target: Tensor, other: Any) -> Tensor:
    """Writes ufunc(target, other) into the target, whose shape and dtype must hold the result."""
    name = operation.name
    writable(name, target, other)
    given, (target, other) = target, seen((target, other))
    xp = find_backend(operation, (target, other)).xp
    value = other.item() if isinstance(other, np.generic) else other
    if isinstance(other, Tensor):
        value = other.data
        dtype = result_type([target.data, value], [])
    elif type(value) in (bool, int, float):
        dtype = result_type([target.data], [value])
    else:
        raise TypeError(
            f"{name}: expected a tensor or a number, got {type(other).__name__}; make a tensor of "
            "it with tn.tensor(...)"
        )
    if operation.promotes == "float" and not is_floating(dtype):
        dtype = DEFAULT_FLOAT
    _fits(name, dtype, target)
    try:
        write = recording.timed(name, getattr(xp, ufunc))
        write(target.data, value, out=target.data, casting="unsafe")
    except (ValueError, TypeError, OverflowError) as error:
        raise explain(operation, (target, other), error) from None
    target.bump_version()
    return given


_ADD = Operation("add_", ("input", "other"), promotes="common")
_SUB = Operation("sub_", ("input", "other"), promotes="common")
_MUL = Operation("mul_", ("input", "other"), promotes="common")
_DIV = Operation("div_", ("input", "other"), promotes="float")


def add_(self: Tensor, other: Operand, *, alpha: float = 1) -> Tensor:
    """Adds alpha * other to this tensor; returns it.

    Raises RuntimeError where it would have to be recorded, or where the result does not fit.

    >>> import tinynn as tn
    >>> tn.tensor([1.0, 2.0]).add_(tn.tensor([1.0, 1.0]), alpha=-0.5)
    tensor([0.5000, 1.5000])
    """
    return _write(_ADD, "add", self, other if alpha == 1 else other * alpha)


def sub_(self: Tensor, other: Operand, *, alpha: float = 1) -> Tensor:
    """Subtracts alpha * other from this tensor; returns it."""
    return _write(_SUB, "subtract", self, other if alpha == 1 else other * alpha)


def mul_(self: Tensor, other: Operand) -> Tensor:
    """Multiplies this tensor; returns it."""
    return _write(_MUL, "multiply", self, other)


def div_(self: Tensor, other: Operand) -> Tensor:
    """Divides this tensor, which must be of floats; returns it."""
    with np.errstate(all="ignore"):
        return _write(_DIV, "true_divide", self, other)


def _replace(name: str, function: Callable[..., Tensor], self: Tensor, *arguments: Any) -> Tensor:
    """Puts what a function makes of the tensor in its place."""
    writable(name, self, *arguments)
    with Mode(False):
        result = function(self, *arguments)
    _fits(name, result.data.dtype, self)
    return _assign(name, self, ..., result)


def pow_(self: Tensor, exponent: Operand) -> Tensor:
    """Raises this tensor to a power; returns it.

    >>> import tinynn as tn
    >>> tn.tensor([2.0, 3.0]).pow_(2)
    tensor([4., 9.])
    """
    return _replace("pow_", arithmetic.pow, self, exponent)


def floor_divide_(self: Tensor, other: Operand) -> Tensor:
    """Divides this tensor, rounding down; returns it."""
    return _replace("floor_divide_", arithmetic.floor_divide, self, other)


def remainder_(self: Tensor, other: Operand) -> Tensor:
    """Replaces this tensor by the remainder of a division by another; returns it."""
    return _replace("remainder_", arithmetic.remainder, self, other)


def bitwise_and_(self: Tensor, other: Operand) -> Tensor:
    """Replaces this tensor by `self & other`; returns it."""
    return _replace("bitwise_and_", comparison.bitwise_and, self, other)


def bitwise_or_(self: Tensor, other: Operand) -> Tensor:
    """Replaces this tensor by `self | other`; returns it."""
    return _replace("bitwise_or_", comparison.bitwise_or, self, other)


def bitwise_xor_(self: Tensor, other: Operand) -> Tensor:
    """Replaces this tensor by `self ^ other`; returns it."""
    return _replace("bitwise_xor_", comparison.bitwise_xor, self, other)


def clamp_(self: Tensor, min: Operand | None = None, max: Operand | None = None) -> Tensor:
    """Brings the elements of this tensor to between min and max; returns it.

    >>> import tinynn as tn
    >>> tn.tensor([-1.5, 0.5, 2.0]).clamp_(-1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    return _replace("clamp_", choice.clamp, self, min, max)


def masked_fill_(self: Tensor, mask: Tensor, value: Tensor | float) -> Tensor:
    """Writes a value where the mask, which broadcasts, is true; returns the tensor.

    >>> import tinynn as tn
    >>> tn.tensor([1.0, 2.0]).masked_fill_(tn.tensor([True, False]), 0)
    tensor([0., 2.])
    """
    return _replace("masked_fill_", gathering.masked_fill, self, mask, value)


def setitem(self: Tensor, key: Any, value: Any) -> None:
    """`tensor[key] = value`, broadcast to the place and cast to the tensor's dtype.

    The value may be a tensor, a number, an array or a list. Raises RuntimeError where it would have
    to be recorded or does not fit, IndexError as `tensor[key]` does.

    >>> import tinynn as tn
    >>> x = tn.zeros(3)
    >>> x[1:] = 2
    >>> x
    tensor([0., 2., 2.])
    """
    _assign("setitem", self, key, value)


def _assign(name: str, self: Tensor, key: Any, value: Any) -> Tensor:
    """Writes a value to the place that an index gives; returns the whole tensor."""
    if not isinstance(value, Tensor | bool | int | float):
        if not isinstance(value, np.generic | np.ndarray | list | tuple):
            raise TypeError(
                f"{name}: a value is a tensor, a number, an array or a list of numbers, got "
                f"{type(value).__name__}"
            )
        value = as_tensor(value, device=self.device)
    writable(name, self, value)
    given, (self, value) = self, seen((self, value))
    find_backend(_operation(name), (self, value))
    slices, places = in_turn(name, self, key if type(key) is tuple else (key,))
    index = tuple([slice(None) if place is None else place.data for place in places])
    try:
        part = self.data[(*slices, ...)]
        write = recording.timed(name, operator.setitem)
        write(part, index or ..., value.data if isinstance(value, Tensor) else value)
    except IndexError as error:
        raise index_error(name, error, self) from None
    except (ValueError, TypeError, OverflowError) as error:
        raise explain(_operation(name), (self, value), error) from None
    self.bump_version()
    return given


@cache
def _operation(name: str) -> Operation:
    return Operation(name, ("input", "value"))


def copy_(self: Tensor, other: Tensor, non_blocking: bool = False) -> Tensor:
    """Copies another tensor's values into this one, broadcast, cast and moved; returns this one."""
    return _assign("copy_", self, ..., as_tensor(other, device=self.device))


def fill_(self: Tensor, value: Operand) -> Tensor:
    """Sets every element to one value; returns the tensor."""
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(
            f"fill_: value must be a number or a tensor of no dimensions, got shape {value.shape}"
        )
    return _assign("fill_", self, ..., value)


def zero_(self: Tensor) -> Tensor:
    """Sets every element to zero; returns the tensor."""
    return _assign("zero_", self, ..., 0)


def detach_(self: Tensor) -> Tensor:
    """Cuts this very tensor off from the graph; returns it."""
    self.node = None
    return self

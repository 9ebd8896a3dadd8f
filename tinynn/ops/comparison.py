"""Comparisons and logic, with broadcasting; none of them has a gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.autograd.door import find_backend
from tinynn.autograd.tensor import Tensor
from tinynn.backend.dtypes import float64
from tinynn.ops.dims import Dims, canonical_dims, check_tensor
from tinynn.ops.registry import apply, declare, public

if TYPE_CHECKING:
    from tinynn.autograd.operation import Operation
    from tinynn.ops.arithmetic import Operand

OPERANDS = (Tensor, int, float, np.generic, np.ndarray)  # the last to be refused with a reason


def _declare(name: str, numpy_name: str) -> Operation:
    def forward(xp: Any, a: Any, b: Any) -> Any:
        return getattr(xp, numpy_name)(a, b)

    return declare(name, forward, promotes="common", broadcasts=True, differentiable=False)


EQ = _declare("eq", "equal")
NE = _declare("ne", "not_equal")
LT = _declare("lt", "less")
LE = _declare("le", "less_equal")
GT = _declare("gt", "greater")
GE = _declare("ge", "greater_equal")
LOGICAL_AND = _declare("logical_and", "logical_and")
LOGICAL_OR = _declare("logical_or", "logical_or")
LOGICAL_XOR = _declare("logical_xor", "logical_xor")
BITWISE_AND = _declare("bitwise_and", "bitwise_and")
BITWISE_OR = _declare("bitwise_or", "bitwise_or")
BITWISE_XOR = _declare("bitwise_xor", "bitwise_xor")
LOGICAL_NOT = declare("logical_not", lambda xp, a: xp.logical_not(a), differentiable=False)
BITWISE_NOT = declare("bitwise_not", lambda xp, a: xp.bitwise_not(a), differentiable=False)

ALL = declare(
    "all",
    lambda xp, x, *, dim, keepdim: x.all(axis=dim or None, keepdims=keepdim),
    differentiable=False,
)

ANY = declare(
    "any",
    lambda xp, x, *, dim, keepdim: x.any(axis=dim or None, keepdims=keepdim),
    differentiable=False,
)


@public
def eq(input: Operand, other: Operand) -> Tensor:
    """input == other.

    >>> import tinynn as tn
    >>> tn.eq(tn.tensor([1, 2]), 2)
    tensor([False,  True])
    """
    return apply(EQ, (input, other))


@public
def ne(input: Operand, other: Operand) -> Tensor:
    """input != other.

    >>> import tinynn as tn
    >>> tn.ne(tn.tensor([1, 2]), 2)
    tensor([ True, False])
    """
    return apply(NE, (input, other))


@public
def lt(input: Operand, other: Operand) -> Tensor:
    """input < other.

    >>> import tinynn as tn
    >>> tn.lt(tn.tensor([1, 2]), 2)
    tensor([ True, False])
    """
    return apply(LT, (input, other))


@public
def le(input: Operand, other: Operand) -> Tensor:
    """input <= other.

    >>> import tinynn as tn
    >>> tn.le(tn.tensor([1, 3]), 2)
    tensor([ True, False])
    """
    return apply(LE, (input, other))


@public
def gt(input: Operand, other: Operand) -> Tensor:
    """input > other.

    >>> import tinynn as tn
    >>> tn.gt(tn.tensor([1, 3]), 2)
    tensor([False,  True])
    """
    return apply(GT, (input, other))


@public
def ge(input: Operand, other: Operand) -> Tensor:
    """input >= other.

    >>> import tinynn as tn
    >>> tn.ge(tn.tensor([1, 2]), 2)
    tensor([False,  True])
    """
    return apply(GE, (input, other))


@public
def logical_and(input: Tensor, other: Tensor) -> Tensor:
    """Whether both are non-zero.

    >>> import tinynn as tn
    >>> tn.logical_and(tn.tensor([0, 1]), tn.tensor([2, 2]))
    tensor([False,  True])
    """
    return apply(LOGICAL_AND, (input, other))


@public
def logical_or(input: Tensor, other: Tensor) -> Tensor:
    """Whether one of them is non-zero.

    >>> import tinynn as tn
    >>> tn.logical_or(tn.tensor([0, 1]), tn.tensor([0, 0]))
    tensor([False,  True])
    """
    return apply(LOGICAL_OR, (input, other))


@public
def logical_xor(input: Tensor, other: Tensor) -> Tensor:
    """Whether exactly one of them is non-zero.

    >>> import tinynn as tn
    >>> tn.logical_xor(tn.tensor([0, 1]), tn.tensor([2, 2]))
    tensor([ True, False])
    """
    return apply(LOGICAL_XOR, (input, other))


@public
def logical_not(input: Tensor) -> Tensor:
    """Whether it is zero.

    >>> import tinynn as tn
    >>> tn.logical_not(tn.tensor([0, 1]))
    tensor([ True, False])
    """
    return apply(LOGICAL_NOT, (input,))


@public
def bitwise_and(input: Operand, other: Operand) -> Tensor:
    """input & other, on the bits of integers or on bools.

    >>> import tinynn as tn
    >>> tn.bitwise_and(tn.tensor([6, 5]), 3)
    tensor([2, 1])
    """
    return apply(BITWISE_AND, (input, other))


@public
def bitwise_or(input: Operand, other: Operand) -> Tensor:
    """input | other, on the bits of integers or on bools.

    >>> import tinynn as tn
    >>> tn.bitwise_or(tn.tensor([6, 5]), 1)
    tensor([7, 5])
    """
    return apply(BITWISE_OR, (input, other))


@public
def bitwise_xor(input: Operand, other: Operand) -> Tensor:
    """input ^ other, on the bits of integers or on bools.

    >>> import tinynn as tn
    >>> tn.bitwise_xor(tn.tensor([6, 5]), 1)
    tensor([7, 4])
    """
    return apply(BITWISE_XOR, (input, other))


@public
def bitwise_not(input: Tensor) -> Tensor:
    """~input, on the bits of integers or on bools.

    >>> import tinynn as tn
    >>> tn.bitwise_not(tn.tensor([True, False]))
    tensor([False,  True])
    """
    return apply(BITWISE_NOT, (input,))


@public
def all(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether all elements are non-zero, of all or over some dimensions; true of none.

    Raises as `sum`.

    >>> import tinynn as tn
    >>> tn.all(tn.tensor([[True, False], [True, True]]), dim=1)
    tensor([False,  True])
    """
    return _quantify(ALL, input, dim, keepdim)


@public
def any(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether any element is non-zero, of all or over some dimensions; false of none.

    Raises as `sum`.

    >>> import tinynn as tn
    >>> tn.any(tn.tensor([[True, False], [False, False]]), dim=1)
    tensor([ True, False])
    """
    return _quantify(ANY, input, dim, keepdim)


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have one shape and the same elements.

    >>> import tinynn as tn
    >>> tn.equal(tn.tensor([1, 2]), tn.tensor([1, 2])), tn.equal(tn.ones(2), tn.ones(3))
    (True, False)
    """
    check_tensor("equal", input)
    check_tensor("equal", other, "other")
    return input.shape == other.shape and bool(all(eq(input, other)))


def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether everywhere |input - other| <= atol + rtol * |other|.

    >>> import tinynn as tn
    >>> tn.allclose(tn.tensor([1.0, 2.0]), tn.tensor([1.0, 2.00001]))
    True
    """
    check_tensor("allclose", input)
    check_tensor("allclose", other, "other")
    xp = find_backend(EQ, (input, other)).xp
    wide, others = (item.to(float64).data for item in (input, other))
    return bool(xp.allclose(wide, others, rtol=rtol, atol=atol, equal_nan=equal_nan))


def contains(self: Tensor, element: Operand) -> bool:
    """`element in tensor`: whether some element equals it.

    >>> import tinynn as tn
    >>> 2 in tn.tensor([[1, 2], [3, 4]])
    True
    """
    return bool(any(eq(self, element)))


def operator_eq(self: Tensor, other: Any) -> Any:
    """`==`, which leaves what is no tensor and no number to the other side."""
    return apply(EQ, (self, other)) if isinstance(other, OPERANDS) else NotImplemented


def operator_ne(self: Tensor, other: Any) -> Any:
    """`!=`, which leaves what is no tensor and no number to the other side."""
    return apply(NE, (self, other)) if isinstance(other, OPERANDS) else NotImplemented


def _quantify(operation: Operation, input: Tensor, dim: Dims, keepdim: bool) -> Tensor:
    check_tensor(operation.name, input)
    dims = canonical_dims(operation.name, dim, input.data.ndim)
    return apply(operation, (input,), {"dim": dims, "keepdim": keepdim})

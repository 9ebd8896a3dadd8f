"""Arithmetic, element by element, with broadcasting and Python scalars."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any, TypeAlias

from tinynn.backend import recording
from tinynn.ops.registry import apply, binary, declare, public

if TYPE_CHECKING:
    from tinynn.autograd import Tensor

    Operand: TypeAlias = Tensor | int | float


def _integer_division(name: str) -> Any:
    """The forward of a division that rounds: integers divided by zero have no result."""

    def forward(xp: Any, a: Any, b: Any) -> Any:
        result = getattr(xp, name)(a, b)
        if result.dtype.kind in "iu":
            recording.checked(_refuse_zero, name, b)
        return result

    return forward


def _refuse_zero(name: str, divisor: Any) -> None:
    if not (divisor.all() if hasattr(divisor, "all") else divisor):
        raise RuntimeError(f"{name}: an integer divided by zero; divide floats to get inf")


def _pow_base(F: Any, g: Any, base: Any, exponent: Any, out: Any) -> Any:
    if isinstance(exponent, int | float):
        return g * (exponent * base ** (exponent - 1)) if exponent else g * 0
    slope = exponent * base ** (exponent - 1)
    return g * F.where(exponent == 0, F.cast(exponent, dtype=slope.dtype), slope)


def _pow_exponent(F: Any, g: Any, base: Any, exponent: Any, out: Any) -> Any:
    if isinstance(base, int | float) and base > 0:
        return g * (out * math.log(base))
    slope = out * F.log(base) if not isinstance(base, int | float) else out * math.nan
    flat = (base == 0) & (exponent >= 0)  # 0**x does not grow with x
    return g * F.where(flat, F.cast(flat, dtype=slope.dtype) * 0, slope)


ADD = declare(
    "add",
    lambda xp, a, b: xp.add(a, b),
    vjps=(lambda F, g: g, lambda F, g: g),
    promotes="common",
    broadcasts=True,
    borrows=True,
)
SUB = declare(
    "sub",
    lambda xp, a, b: xp.subtract(a, b),
    vjps=(lambda F, g: g, lambda F, g: -g),
    promotes="common",
    broadcasts=True,
    borrows=True,
)
MUL = declare(
    "mul",
    lambda xp, a, b: xp.multiply(a, b),
    saves=("a", "b"),
    vjps=(lambda F, g, a, b: g * b, lambda F, g, a, b: g * a),
    promotes="common",
    broadcasts=True,
)
DIV = declare(
    "div",
    lambda xp, a, b: xp.true_divide(a, b),
    saves=("a", "b"),
    vjps=(lambda F, g, a, b: g / b, lambda F, g, a, b: -g * a / (b * b)),
    promotes="float",
    broadcasts=True,
    quiet=True,
)
POW = declare(
    "pow",
    lambda xp, base, exponent: base**exponent,
    saves=("base", "exponent", "out"),
    vjps=(_pow_base, _pow_exponent),
    promotes="common",
    broadcasts=True,
    quiet=True,
)
FLOOR_DIVIDE = declare(
    "floor_divide",
    _integer_division("floor_divide"),
    promotes="common",
    broadcasts=True,
    quiet=True,
)
REMAINDER = declare(
    "remainder",
    _integer_division("remainder"),
    saves=("a", "b"),
    vjps=(lambda F, g, a, b: g, lambda F, g, a, b: -g * F.floor(a / b)),
    promotes="common",
    broadcasts=True,
    borrows=True,
    quiet=True,
)
NEG = declare("neg", lambda xp, a: xp.negative(a), vjps=(lambda F, g: -g,))

operator_add = binary(ADD, operator.add)
operator_sub = binary(SUB, operator.sub)
operator_mul = binary(MUL, operator.mul)


@public
def add(input: Operand, other: Operand, *, alpha: float = 1) -> Tensor:
    """input + alpha * other, broadcast.

    >>> import tinynn as tn
    >>> tn.add(tn.tensor([1, 2]), 0.5)
    tensor([1.5000, 2.5000])
    """
    return operator_add(input, other if alpha == 1 else other * alpha)


@public
def sub(input: Operand, other: Operand, *, alpha: float = 1) -> Tensor:
    """input - alpha * other, broadcast.

    >>> import tinynn as tn
    >>> tn.sub(tn.tensor([1.0, 2.0]), 1)
    tensor([0., 1.])
    """
    return operator_sub(input, other if alpha == 1 else other * alpha)


@public
def mul(input: Operand, other: Operand) -> Tensor:
    """input * other, broadcast.

    >>> import tinynn as tn
    >>> tn.mul(tn.tensor([[1.0], [2.0]]), tn.tensor([3.0, 4.0]))
    tensor([[3., 4.],
            [6., 8.]])
    """
    return operator_mul(input, other)


@public
def div(input: Operand, other: Operand) -> Tensor:
    """input / other, broadcast; integers give float32, a division by zero inf or nan.

    >>> import tinynn as tn
    >>> tn.div(tn.tensor([1, 0]), tn.tensor([2, 0]))
    tensor([0.5000,    nan])
    """
    return apply(DIV, (input, other))


@public
def floor_divide(input: Operand, other: Operand) -> Tensor:
    """The quotient rounded down; it has no gradient.

    Raises RuntimeError for an integer divided by zero.

    >>> import tinynn as tn
    >>> tn.floor_divide(tn.tensor([7, -7]), 2)
    tensor([ 3, -4])
    """
    return apply(FLOOR_DIVIDE, (input, other))


@public
def remainder(input: Operand, other: Operand) -> Tensor:
    """input - other * floor(input / other): the remainder has the divisor's sign.

    Raises RuntimeError for an integer divided by zero.

    >>> import tinynn as tn
    >>> tn.remainder(tn.tensor([7, -7]), 4)
    tensor([3, 1])
    """
    return apply(REMAINDER, (input, other))


@public
def neg(input: Tensor) -> Tensor:
    """-input.

    >>> import tinynn as tn
    >>> tn.neg(tn.tensor([1.0, -2.0]))
    tensor([-1.,  2.])
    """
    return apply(NEG, (input,))


@public
def pow(input: Operand, exponent: Operand) -> Tensor:
    """input to the power of exponent, broadcast.

    Raises ValueError for an integer to a negative integer power.

    >>> import tinynn as tn
    >>> tn.pow(tn.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    return apply(POW, (input, exponent))


def positive(input: Tensor) -> Tensor:
    """`+tensor`: the tensor itself."""
    return input


def reflected_sub(input: Tensor, other: Operand) -> Tensor:
    """other - input, for `number - tensor`."""
    return operator_sub(other, input)


def reflected_div(input: Tensor, other: Operand) -> Tensor:
    """other / input, for `number / tensor`."""
    return apply(DIV, (other, input))


def reflected_pow(input: Tensor, other: Operand) -> Tensor:
    """other ** input, for `number ** tensor`."""
    return apply(POW, (other, input))


def reflected_floor_divide(input: Tensor, other: Operand) -> Tensor:
    """other // input, for `number // tensor`."""
    return apply(FLOOR_DIVIDE, (other, input))


def reflected_remainder(input: Tensor, other: Operand) -> Tensor:
    """other % input, for `number % tensor`."""
    return apply(REMAINDER, (other, input))

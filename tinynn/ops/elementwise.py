"""Functions of each element: exponentials, roots, trigonometry, signs, rounding.

Where a function has no derivative it is PyTorch's: that of abs at 0 is 0, as are those of sign and
of rounding everywhere. Results are inf and nan where PyTorch's are, without a warning.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tinynn.backend.devices import backend_of
from tinynn.ops.registry import apply, declare, public

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinynn.autograd import Tensor
    from tinynn.autograd.operation import Operation


def _whole(name: str) -> Callable[..., Any]:
    """The forward of a rounding, which leaves integers as they are."""

    def forward(xp: Any, x: Any) -> Any:
        return x.copy() if x.dtype.kind in "biu" else getattr(xp, name)(x)

    return forward


def _smooth(
    name: str, forward: Callable[..., Any], saves: str, vjp: Callable[..., Any]
) -> Operation:
    """A function of floats, to which integers are promoted; its rule gets the saved value."""
    return declare(name, forward, saves=(saves,), vjps=(vjp,), promotes="float", quiet=True)


EXP = _smooth("exp", lambda xp, x: xp.exp(x), "out", lambda F, g, out: g * out)
EXPM1 = _smooth("expm1", lambda xp, x: xp.expm1(x), "out", lambda F, g, out: g * (out + 1))
LOG = _smooth("log", lambda xp, x: xp.log(x), "x", lambda F, g, x: g / x)
LOG1P = _smooth("log1p", lambda xp, x: xp.log1p(x), "x", lambda F, g, x: g / (x + 1))
SQRT = _smooth("sqrt", lambda xp, x: xp.sqrt(x), "out", lambda F, g, out: g / (out * 2))
RSQRT = _smooth(
    "rsqrt", lambda xp, x: 1 / xp.sqrt(x), "out", lambda F, g, out: g * (out * out * out) * -0.5
)
RECIPROCAL = _smooth("reciprocal", lambda xp, x: 1 / x, "out", lambda F, g, out: -g * (out * out))
SIN = _smooth("sin", lambda xp, x: xp.sin(x), "x", lambda F, g, x: g * F.cos(x))
COS = _smooth("cos", lambda xp, x: xp.cos(x), "x", lambda F, g, x: -g * F.sin(x))
TANH = _smooth("tanh", lambda xp, x: xp.tanh(x), "out", lambda F, g, out: g * (1 - out * out))
ERF = _smooth(
    "erf",
    lambda xp, x: backend_of(x).kernels.erf(x),
    "x",
    lambda F, g, x: g * F.exp(-(x * x)) * (2 / math.sqrt(math.pi)),
)
SQUARE = declare(
    "square",
    lambda xp, x: xp.multiply(x, x),
    saves=("x",),
    vjps=(lambda F, g, x: g * (x * 2),),
    quiet=True,
)
ABS = declare(
    "abs", lambda xp, x: xp.absolute(x), saves=("x",), vjps=(lambda F, g, x: g * F.sign(x),)
)
ZEROS = declare("zeros_like", lambda xp, x: xp.zeros_like(x), differentiable=False)
SIGN = declare(
    "sign",
    lambda xp, x: x.copy() if x.dtype.kind == "b" else xp.sign(x),
    vjps=(lambda F, g: F.zeros_like(g),),
)
FLOOR = declare("floor", _whole("floor"), vjps=(lambda F, g: F.zeros_like(g),))
CEIL = declare("ceil", _whole("ceil"), vjps=(lambda F, g: F.zeros_like(g),))
ROUND = declare(
    "round",
    lambda xp, x, *, decimals: xp.round(x, decimals),
    vjps=(lambda F, g, *, decimals: F.zeros_like(g),),
)

ISNAN = declare("isnan", lambda xp, x: xp.isnan(x), differentiable=False)
ISINF = declare("isinf", lambda xp, x: xp.isinf(x), differentiable=False)
ISFINITE = declare("isfinite", lambda xp, x: xp.isfinite(x), differentiable=False)


@public
def exp(input: Tensor) -> Tensor:
    """e to the power of each element; integers give float32, as in the functions below.

    >>> import tinynn as tn
    >>> tn.exp(tn.tensor([0, 1]))
    tensor([1.0000, 2.7183])
    """
    return apply(EXP, (input,))


@public
def expm1(input: Tensor) -> Tensor:
    """exp(input) - 1, without the loss of digits near 0.

    >>> import tinynn as tn
    >>> tn.expm1(tn.tensor([0.0, 1.0]))
    tensor([0.0000, 1.7183])
    """
    return apply(EXPM1, (input,))


@public
def log(input: Tensor) -> Tensor:
    """The natural logarithm; -inf for 0, nan below.

    >>> import tinynn as tn
    >>> tn.log(tn.tensor([1.0, 10.0]))
    tensor([0.0000, 2.3026])
    """
    return apply(LOG, (input,))


@public
def log1p(input: Tensor) -> Tensor:
    """log(1 + input), without the loss of digits near 0.

    >>> import tinynn as tn
    >>> tn.log1p(tn.tensor([0.0, 1.0]))
    tensor([0.0000, 0.6931])
    """
    return apply(LOG1P, (input,))


@public
def sqrt(input: Tensor) -> Tensor:
    """The square root; nan below 0. Its slope at 0 is inf.

    >>> import tinynn as tn
    >>> tn.sqrt(tn.tensor([4.0, 2.0]))
    tensor([2.0000, 1.4142])
    """
    return apply(SQRT, (input,))


@public
def rsqrt(input: Tensor) -> Tensor:
    """1 / sqrt(input).

    >>> import tinynn as tn
    >>> tn.rsqrt(tn.tensor([4.0, 2.0]))
    tensor([0.5000, 0.7071])
    """
    return apply(RSQRT, (input,))


@public
def reciprocal(input: Tensor) -> Tensor:
    """1 / input.

    >>> import tinynn as tn
    >>> tn.reciprocal(tn.tensor([4, 2]))
    tensor([0.2500, 0.5000])
    """
    return apply(RECIPROCAL, (input,))


@public
def square(input: Tensor) -> Tensor:
    """input * input.

    >>> import tinynn as tn
    >>> tn.square(tn.tensor([-2, 3]))
    tensor([4, 9])
    """
    return apply(SQUARE, (input,))


@public
def sin(input: Tensor) -> Tensor:
    """The sine of an angle in radians.

    >>> import tinynn as tn
    >>> tn.sin(tn.tensor([0.0, 0.5]))
    tensor([0.0000, 0.4794])
    """
    return apply(SIN, (input,))


@public
def cos(input: Tensor) -> Tensor:
    """The cosine of an angle in radians.

    >>> import tinynn as tn
    >>> tn.cos(tn.tensor([0.0, 0.5]))
    tensor([1.0000, 0.8776])
    """
    return apply(COS, (input,))


@public
def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent.

    >>> import tinynn as tn
    >>> tn.tanh(tn.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """
    return apply(TANH, (input,))


@public
def erf(input: Tensor) -> Tensor:
    """The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to each element.

    >>> import tinynn as tn
    >>> tn.erf(tn.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8427])
    """
    return apply(ERF, (input,))


@public
def abs(input: Tensor) -> Tensor:
    """The absolute value; its slope at 0 is 0.

    >>> import tinynn as tn
    >>> tn.abs(tn.tensor([-1.5, 2.0]))
    tensor([1.5000, 2.0000])
    """
    return apply(ABS, (input,))


@public
def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1, by the sign.

    >>> import tinynn as tn
    >>> tn.sign(tn.tensor([-1.5, 0.0, 2.0]))
    tensor([-1.,  0.,  1.])
    """
    return apply(SIGN, (input,))


@public
def floor(input: Tensor) -> Tensor:
    """Rounded down to a whole number.

    >>> import tinynn as tn
    >>> tn.floor(tn.tensor([-1.5, 1.5]))
    tensor([-2.,  1.])
    """
    return apply(FLOOR, (input,))


@public
def ceil(input: Tensor) -> Tensor:
    """Rounded up to a whole number.

    >>> import tinynn as tn
    >>> tn.ceil(tn.tensor([-1.5, 1.5]))
    tensor([-1.,  2.])
    """
    return apply(CEIL, (input,))


@public
def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """Rounded to a number of decimals, halves to the even neighbour.

    >>> import tinynn as tn
    >>> tn.round(tn.tensor([0.5, 1.5, 2.6]))
    tensor([0., 2., 3.])
    """
    return apply(ROUND, (input,), {"decimals": decimals})


@public
def isnan(input: Tensor) -> Tensor:
    """Whether it is not a number.

    >>> import tinynn as tn
    >>> tn.isnan(tn.tensor([1.0, float("nan")]))
    tensor([False,  True])
    """
    return apply(ISNAN, (input,))


@public
def isinf(input: Tensor) -> Tensor:
    """Whether it is inf or -inf.

    >>> import tinynn as tn
    >>> tn.isinf(tn.tensor([1.0, float("-inf")]))
    tensor([False,  True])
    """
    return apply(ISINF, (input,))


@public
def isfinite(input: Tensor) -> Tensor:
    """Whether it is neither inf, -inf nor nan.

    >>> import tinynn as tn
    >>> tn.isfinite(tn.tensor([1.0, float("nan")]))
    tensor([ True, False])
    """
    return apply(ISFINITE, (input,))

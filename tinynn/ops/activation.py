"""Activations: the nonlinear functions of neural networks, element by element, and softmax.

Formulas are arranged so that no intermediate result overflows. 16-bit floats are computed in
float32 and rounded once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tinynn.backend.devices import backend_of
from tinynn.backend.dtypes import as_dtype
from tinynn.backend.reference.precision import narrowed, widened
from tinynn.ops.conversion import to
from tinynn.ops.dims import canonical_dim, check_tensor
from tinynn.ops.registry import apply, declare, public

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinynn.autograd import Tensor
    from tinynn.backend.dtypes import DTypeLike


def _wide(formula: Callable[..., Any]) -> Callable[..., Any]:
    """The formula as a forward that computes 16-bit floats in float32."""

    def forward(xp: Any, x: Any, **attributes: Any) -> Any:
        return narrowed(formula(xp, widened(x), **attributes), x)

    return forward


def _sigmoid(xp: Any, x: Any) -> Any:
    small = xp.exp(-xp.absolute(x))
    return xp.where(x < 0, small, 1) / (1 + small)


def _elu(xp: Any, x: Any, *, alpha: float) -> Any:
    return xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, 0)))


def _gelu(xp: Any, x: Any, *, approximate: str) -> Any:
    if approximate == "tanh":
        return 0.5 * x * (1 + xp.tanh(_gelu_inner(x)))
    return 0.5 * x * (1 + backend_of(x).kernels.erf(x * math.sqrt(0.5)))


def _softplus(xp: Any, x: Any, *, beta: float, threshold: float) -> Any:
    scaled = x * beta
    smooth = xp.maximum(scaled, 0) + xp.log1p(xp.exp(-xp.absolute(scaled)))
    return xp.where(scaled > threshold, x, smooth / beta)


def _softmax(xp: Any, x: Any, *, dim: tuple[int, ...]) -> Any:
    return _rowwise(xp, backend_of(x).kernels.softmax, dim, x)


def _softmax_backward(xp: Any, g: Any, y: Any, *, dim: tuple[int, ...]) -> Any:
    return _rowwise(xp, backend_of(y).kernels.softmax_backward, dim, g, y)


def _rowwise(xp: Any, kernel: Callable[..., Any], dim: tuple[int, ...], *arrays: Any) -> Any:
    """A kernel of the last axis, along another one; an array of no dimensions is one row."""
    if not dim:
        return kernel(*(array.reshape(1) for array in arrays)).reshape(())
    rows = [xp.moveaxis(array, dim[0], -1) for array in arrays]
    return xp.moveaxis(kernel(*rows), -1, dim[0])


def _log_softmax(xp: Any, x: Any, *, dim: tuple[int, ...]) -> Any:
    if not x.size:
        return x.copy()
    shifted = x - x.max(axis=dim, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(axis=dim, keepdims=True))


def _elu_vjp(F: Any, g: Any, x: Any, *, alpha: float) -> Any:
    return F.where(x > 0, g, g * (F.exp(F.minimum(x, 0)) * alpha))


def _gelu_inner(x: Any) -> Any:
    return math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))


def _gelu_vjp(F: Any, g: Any, x: Any, *, approximate: str) -> Any:
    if approximate == "tanh":
        t = F.tanh(_gelu_inner(x))
        slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * (x * x))
        return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)
    cumulative = 0.5 * (1 + F.erf(x * math.sqrt(0.5)))
    density = F.exp(-0.5 * (x * x)) * (1 / math.sqrt(2 * math.pi))
    return g * (cumulative + x * density)


def _silu_vjp(F: Any, g: Any, x: Any) -> Any:
    s = F.sigmoid(x)
    return g * (s * (1 + x * (1 - s)))


def _softplus_vjp(F: Any, g: Any, x: Any, *, beta: float, threshold: float) -> Any:
    scaled = x * beta
    return F.where(scaled > threshold, g, g * F.sigmoid(scaled))


def _softmax_backward_y(F: Any, v: Any, g: Any, y: Any, *, dim: tuple[int, ...]) -> Any:
    mean, other = (F.sum(x * y, dim=dim, keepdim=True) for x in (g, v))
    return v * (g - mean) - g * other


def _log_softmax_vjp(F: Any, g: Any, out: Any, *, dim: tuple[int, ...]) -> Any:
    return g - F.exp(out) * F.sum(g, dim=dim, keepdim=True)


RELU = declare(
    "relu",
    lambda xp, x: xp.maximum(x, 0),
    saves=("out",),
    vjps=(lambda F, g, out: F.where(out <= 0, 0.0, g),),
)
LEAKY_RELU = declare(
    "leaky_relu",
    _wide(lambda xp, x, *, negative_slope: xp.where(x > 0, x, x * negative_slope)),
    saves=("x",),
    vjps=(lambda F, g, x, *, negative_slope: F.where(x > 0, g, g * negative_slope),),
    promotes="float",
)
ELU = declare("elu", _wide(_elu), saves=("x",), vjps=(_elu_vjp,), promotes="float")
SIGMOID = declare(
    "sigmoid",
    _wide(_sigmoid),
    saves=("out",),
    vjps=(lambda F, g, out: g * (out * (1 - out)),),
    promotes="float",
)
GELU = declare("gelu", _wide(_gelu), saves=("x",), vjps=(_gelu_vjp,), promotes="float", quiet=True)
SILU = declare(
    "silu",
    _wide(lambda xp, x: x * _sigmoid(xp, x)),
    saves=("x",),
    vjps=(_silu_vjp,),
    promotes="float",
)
SOFTPLUS = declare(
    "softplus", _wide(_softplus), saves=("x",), vjps=(_softplus_vjp,), promotes="float"
)
SOFTMAX = declare(
    "softmax",
    _softmax,
    saves=("out",),
    vjps=(lambda F, g, out, *, dim: F.softmax_backward(g, out, dim=dim),),
    promotes="float",
    quiet=True,
)
# v is the gradient of the gradient. It is linear in g, and its own transpose.
SOFTMAX_BACKWARD = declare(
    "softmax_backward",
    _softmax_backward,
    saves=("g", "y"),
    vjps=(
        lambda F, v, g, y, *, dim: F.softmax_backward(v, y, dim=dim),
        _softmax_backward_y,
    ),
    quiet=True,
)
LOG_SOFTMAX = declare(
    "log_softmax",
    _wide(_log_softmax),
    saves=("out",),
    vjps=(_log_softmax_vjp,),
    promotes="float",
    quiet=True,
)


@public
def relu(input: Tensor) -> Tensor:
    """max(input, 0); its slope at 0 is 0.

    >>> import tinynn as tn
    >>> tn.relu(tn.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return apply(RELU, (input,))


@public
def leaky_relu(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """input above 0, negative_slope * input below; at 0 the slope is negative_slope.

    >>> import tinynn as tn
    >>> tn.nn.functional.leaky_relu(tn.tensor([-1.0, 2.0]), 0.5)
    tensor([-0.5000,  2.0000])
    """
    return apply(LEAKY_RELU, (input,), {"negative_slope": negative_slope})


@public
def elu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """input above 0, alpha * (exp(input) - 1) below (https://arxiv.org/abs/1511.07289).

    >>> import tinynn as tn
    >>> tn.nn.functional.elu(tn.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return apply(ELU, (input,), {"alpha": alpha})


@public
def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-input)).

    >>> import tinynn as tn
    >>> tn.sigmoid(tn.tensor([0.0, 2.0]))
    tensor([0.5000, 0.8808])
    """
    return apply(SIGMOID, (input,))


@public
def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """input * P(X < input) for X of the standard normal distribution.

    Arguments:
        approximate: "none" for the exact formula, with erf; "tanh" for the approximation
            0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). Both are from
            https://arxiv.org/abs/1606.08415.

    Raises ValueError for another `approximate`.

    >>> import tinynn as tn
    >>> tn.nn.functional.gelu(tn.tensor([-1.0, 2.0]))
    tensor([-0.1587,  1.9545])
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    return apply(GELU, (input,), {"approximate": approximate})


@public
def silu(input: Tensor) -> Tensor:
    """input * sigmoid(input), also called swish.

    >>> import tinynn as tn
    >>> tn.nn.functional.silu(tn.tensor([-1.0, 2.0]))
    tensor([-0.2689,  1.7616])
    """
    return apply(SILU, (input,))


@public
def softplus(input: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """log(1 + exp(beta * input)) / beta, a smooth relu; input where beta * input > threshold.

    >>> import tinynn as tn
    >>> tn.nn.functional.softplus(tn.tensor([-1.0, 2.0]))
    tensor([0.3133, 2.1269])
    """
    return apply(SOFTPLUS, (input,), {"beta": beta, "threshold": threshold})


@public
def softmax(input: Tensor, dim: int, dtype: DTypeLike | None = None) -> Tensor:
    """exp(input) / sum(exp(input)) along a dimension: positive numbers that sum to 1.

    Arguments:
        dtype: what to convert to first; None keeps that of the input.

    Raises IndexError for a dimension out of range.

    >>> import tinynn as tn
    >>> tn.softmax(tn.tensor([[1.0, 1.0], [0.0, 1000.0]]), dim=1)
    tensor([[0.5000, 0.5000],
            [0.0000, 1.0000]])
    """
    return _along("softmax", SOFTMAX, input, dim, dtype)


@public
def log_softmax(input: Tensor, dim: int, dtype: DTypeLike | None = None) -> Tensor:
    """The logarithm of `softmax`, without its loss of small numbers.

    Arguments:
        dtype: what to convert to first; None keeps that of the input.

    Raises IndexError for a dimension out of range.

    >>> import tinynn as tn
    >>> tn.log_softmax(tn.tensor([0.0, 1000.0]), dim=0)
    tensor([-1000.,     0.])
    """
    return _along("log_softmax", LOG_SOFTMAX, input, dim, dtype)


def _along(name: str, operation: Any, input: Tensor, dim: int, dtype: DTypeLike | None) -> Tensor:
    check_tensor(name, input)
    place = canonical_dim(name, dim, input.ndim)
    if dtype is not None:
        input = to(input, dtype=as_dtype(dtype))
    return apply(operation, (input,), {"dim": (place,) if input.ndim else ()})

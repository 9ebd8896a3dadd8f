"""The linear layer, alone and with its activation, each as one fused operation.

Their gradients need one product for the input and one for the weight, whatever the number of
leading dimensions; the weight's is written straight into the place an optimizer keeps for it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tinynn.autograd.tensor import Tensor
from tinynn.backend.dtypes import is_half
from tinynn.ops.activation import elu, gelu, leaky_relu, relu, sigmoid, silu
from tinynn.ops.arithmetic import add
from tinynn.ops.dims import check_tensor
from tinynn.ops.elementwise import tanh
from tinynn.ops.linear_algebra import check_same_dtype, matmul, product
from tinynn.ops.registry import apply, declare_fused, public
from tinynn.ops.shape import transpose

if TYPE_CHECKING:
    from collections.abc import Callable

# The activations that can be part of the operation, and each as a function of its parameter.
ACTIVATIONS: dict[str | None, Callable[[Tensor, float], Tensor]] = {
    None: lambda x, parameter: x,
    "relu": lambda x, parameter: relu(x),
    "leaky_relu": leaky_relu,
    "elu": elu,
    "sigmoid": lambda x, parameter: sigmoid(x),
    "tanh": lambda x, parameter: tanh(x),
    "silu": lambda x, parameter: silu(x),
    "gelu": lambda x, parameter: gelu(x),
    "gelu_tanh": lambda x, parameter: gelu(x, approximate="tanh"),
}
DEFAULT_PARAMETERS = {"leaky_relu": 0.01, "elu": 1.0}


def _gradients(
    F: Any,
    g: Any,
    x: Any,
    weight: Any,
    needs: tuple[bool, ...],
    into: tuple[Any, ...],
) -> tuple[Any, Any]:
    """The gradients of input and weight, from that of their product."""
    input_gradient = weight_gradient = None
    if x.ndim != 2:
        rows = math.prod(x.shape[:-1])
        g, x_rows = g.reshape(rows, weight.shape[0]), x.reshape(rows, weight.shape[1])
    else:
        x_rows = x
    if needs[1]:
        if into[1] is None or is_half(x.dtype):
            weight_gradient = product(F.backend.xp, g.T, x_rows)
        else:
            weight_gradient = F.backend.xp.matmul(g.T, x_rows, out=into[1])
    if needs[0]:
        input_gradient = product(F.backend.xp, g, weight).reshape(x.shape)
    return input_gradient, weight_gradient


def _linear_vjp(
    F: Any,
    g: Any,
    x: Any,
    weight: Any,
    *,
    needs: tuple[bool, ...],
    into: tuple[Any, ...],
    activation: None,
) -> tuple[Any, ...]:
    rows = tuple(range(g.ndim - 1))
    bias_gradient = F.sum(g, dim=rows, keepdim=False) if needs[2] else None
    return (*_gradients(F, g, x, weight, needs, into), bias_gradient)


def _linear_activation_vjp(
    F: Any,
    g: Any,
    x: Any,
    weight: Any,
    out: Any,
    *input_of_activation: Any,
    needs: tuple[bool, ...],
    into: tuple[Any, ...],
    activation: str,
    parameter: float,
) -> tuple[Any, ...]:
    saved = input_of_activation[0] if input_of_activation else out
    g, bias_gradient = F.kernels.activation_backward(
        g, saved, activation=activation, parameter=parameter
    )
    return (*_gradients(F, g, x, weight, needs, into), bias_gradient if needs[2] else None)


def _unfused(
    F: Any,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *,
    activation: str | None,
    parameter: float = 0.0,
) -> Tensor:
    result = matmul(input, transpose(weight, 0, 1))
    if bias is not None:
        result = add(result, bias)
    return ACTIVATIONS[activation](result, parameter)


LINEAR = declare_fused(
    "linear", "linear_activation", saves=("input", "weight"), vjp=_linear_vjp, unfused=_unfused
)
LINEAR_ACTIVATION = declare_fused(
    "linear_activation",
    "linear_activation",
    saves=("input", "weight", "out"),
    vjp=_linear_activation_vjp,
    unfused=_unfused,
)
_NO_ACTIVATION: dict[str, Any] = {"activation": None}


@public
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input weight^T + bias, on the last dimension.

    Arguments:
        input: (..., in_features).
        weight: (out_features, in_features); or (in_features,), without a bias, for a result without
            the last dimension.
        bias: (out_features,) or None.

    All have one dtype. Returns (..., out_features).

    Raises RuntimeError for shapes that do not fit and for several dtypes.

    >>> import tinynn as tn
    >>> weight = tn.tensor([[1.0, 2.0], [0.0, 1.0], [1.0, 0.0]])
    >>> tn.nn.functional.linear(tn.tensor([1.0, 1.0]), weight, tn.tensor([0.0, 0.0, 5.0]))
    tensor([3., 1., 6.])
    """
    if not _fit(input, weight, bias):
        check_tensor("linear", weight, "weight")
        if weight.ndim == 1 and bias is None:
            return matmul(input, weight)
        _refuse("linear", input, weight, bias)
    return apply(LINEAR, (input, weight, bias), _NO_ACTIVATION)


@public
def linear_activation(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    activation: str = "relu",
    parameter: float | None = None,
) -> Tensor:
    """activation(input weight^T + bias) in one operation.

    Arguments:
        input: (..., in_features).
        weight: (out_features, in_features).
        bias: (out_features,) or None.
        activation: "relu", "leaky_relu", "elu", "sigmoid", "tanh", "silu", "gelu" or "gelu_tanh".
        parameter: the negative_slope of leaky_relu or the alpha of elu; None takes their defaults.

    All tensors have one dtype. Returns (..., out_features).

    Raises ValueError for an unknown activation, RuntimeError for shapes that do not fit and for
    several dtypes.

    >>> import tinynn as tn
    >>> weight = tn.tensor([[1.0, 2.0], [-1.0, 0.0]])
    >>> tn.nn.functional.linear_activation(tn.tensor([1.0, 1.0]), weight, activation="relu")
    tensor([3., 0.])
    """
    if parameter is None:
        parameter = DEFAULT_PARAMETERS.get(activation, 0.0)
    if activation is None or activation not in ACTIVATIONS:
        known = ", ".join(name for name in ACTIVATIONS if name)
        raise ValueError(
            f"linear_activation: activation must be one of {known}, got {activation!r}"
        )
    if not _fit(input, weight, bias):
        _refuse("linear_activation", input, weight, bias)
    if parameter < 0:  # the kernels tell the side of 0 by the sign of the result
        return ACTIVATIONS[activation](linear(input, weight, bias), parameter)
    return apply(
        LINEAR_ACTIVATION,
        (input, weight, bias),
        {"activation": activation, "parameter": parameter},
    )


def _fit(input: Any, weight: Any, bias: Any) -> bool:
    """Whether the arguments are what the kernels take."""
    if not (isinstance(input, Tensor) and isinstance(weight, Tensor)):
        return False
    x, w = input.data, weight.data
    dtype = x.dtype
    if w.ndim != 2 or not x.ndim or x.shape[-1] != w.shape[1] or w.dtype != dtype:
        return False
    return bias is None or (
        isinstance(bias, Tensor) and bias.data.shape == w.shape[:1] and bias.data.dtype == dtype
    )


def _refuse(name: str, input: Any, weight: Any, bias: Any) -> None:
    """Raises what is wrong with arguments that do not fit."""
    check_tensor(name, input)
    check_tensor(name, weight, "weight")
    if weight.ndim != 2:
        raise RuntimeError(
            f"{name}: weight must have the dimensions (out_features, in_features), its shape is "
            f"{weight.shape}"
        )
    if input.shape[-1:] != weight.shape[1:]:
        raise RuntimeError(
            f"{name}: input of shape {input.shape} and weight of shape {weight.shape} do not fit: "
            f"the last dimension of input must be {weight.shape[1]}, weight's in_features"
        )
    if bias is not None:
        check_tensor(name, bias, "bias")
        if bias.shape != weight.shape[:1]:
            raise RuntimeError(
                f"{name}: bias must have shape {weight.shape[:1]}, weight's out_features, its "
                f"shape is {bias.shape}"
            )
    check_same_dtype(name, input=input, weight=weight, bias=bias)

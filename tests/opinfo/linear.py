"""Samples of the linear layer, alone and with activations."""

from __future__ import annotations

import numpy as np
import scipy.special

from tests.opinfo.activation import gelu
from tests.opinfo.info import OpInfo, refuse, sample

# Input, weight and bias.
LAYERS = (
    ((5, 3), (4, 3), (4,)),
    ((5, 3), (4, 3), None),
    ((3,), (4, 3), (4,)),
    ((2, 5, 3), (4, 3), (4,)),
    ((2, 1, 2, 3), (1, 3), (1,)),
    ((0, 3), (4, 3), (4,)),
    ((2, 0, 3), (4, 3), None),
    ((5, 0), (4, 0), (4,)),
    ((5, 1), (1, 1), None),
)
FUNCTIONS = {
    "relu": lambda x, parameter: np.maximum(x, 0),
    "leaky_relu": lambda x, parameter: np.where(x > 0, x, x * (parameter or 0.01)),
    "elu": lambda x, parameter: np.where(x > 0, x, (parameter or 1) * np.expm1(x)),
    "sigmoid": lambda x, parameter: scipy.special.expit(x),
    "tanh": lambda x, parameter: np.tanh(x),
    "silu": lambda x, parameter: x * scipy.special.expit(x),
    "gelu": lambda x, parameter: gelu(x),
    "gelu_tanh": lambda x, parameter: gelu(x, approximate="tanh"),
}


def layers(make):
    for input, weight, bias in LAYERS:
        yield make(*input), make(*weight), None if bias is None else make(*bias)


def samples(make):
    for input, weight, bias in layers(make):
        yield sample(input, weight, bias)
    yield sample(make(5, 3), make(3))


def reference(input, weight, bias=None):
    result = input @ weight.T
    return result if bias is None else result + bias


def refused(make):
    x, w = make(5, 3), make(4, 3)
    yield refuse(RuntimeError, x, make(4, 2), says=r"\(5, 3\).*\(4, 2\).*must be 2")
    yield refuse(RuntimeError, make(), w, says=r"\(\).*\(4, 3\)")
    yield refuse(RuntimeError, x, make(2, 4, 3), says=r"\(2, 4, 3\)")
    yield refuse(RuntimeError, x, make(3), make(1), says=r"weight.*\(3,\)")
    yield refuse(RuntimeError, x, w, make(3), says=r"bias.*\(4,\).*\(3,\)")
    yield refuse(RuntimeError, x, w, make(4, dtype="float64"), says="bias float64")
    yield refuse(RuntimeError, x, make(4, 3, dtype="float64"), says="float32.*float64")
    yield refuse(TypeError, x, 2.0, says="weight.*float")
    yield refuse(TypeError, x, w, 2.0, says="bias.*float")
    yield refuse(TypeError, [1.0], w, says="input.*list")


def activated_samples(make):
    for input, weight, bias in layers(make):
        yield sample(input, weight, bias)
    for activation in FUNCTIONS:
        yield sample(make(5, 3), make(4, 3), make(4), activation)
    for activation, parameter in (("leaky_relu", 0.3), ("leaky_relu", -2.0), ("elu", 0.5)):
        yield sample(make(5, 3), make(4, 3), make(4), activation=activation, parameter=parameter)


def activated(input, weight, bias=None, activation="relu", parameter=None):
    return FUNCTIONS[activation](reference(input, weight, bias), parameter)


def in_torch(torch):
    F = torch.nn.functional
    functions = {
        **{name: getattr(F, name) for name in ("relu", "sigmoid", "tanh", "silu", "gelu")},
        "leaky_relu": F.leaky_relu,
        "elu": F.elu,
        "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    }

    def function(input, weight, bias=None, activation="relu", parameter=None):
        given = () if parameter is None else (parameter,)
        return functions[activation](F.linear(input, weight, bias), *given)

    return function


def activated_refused(make):
    yield from refused(make)
    x, w = make(5, 3), make(4, 3)
    yield refuse(RuntimeError, x, make(3), says=r"weight.*\(3,\)")
    yield refuse(ValueError, x, w, None, "swish", says="relu, .*'swish'")
    yield refuse(ValueError, x, w, activation=None, says="None")


INFOS = [
    OpInfo(
        "linear",
        samples=samples,
        reference=reference,
        refused=refused,
        torch="nn.functional.linear",
    ),
    OpInfo(
        "linear_activation",
        samples=activated_samples,
        reference=activated,
        refused=activated_refused,
        torch=in_torch,
    ),
]

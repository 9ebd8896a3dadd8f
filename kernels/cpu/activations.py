"""Activations and their derivatives as scalar functions, from which kernels build their loops.

An activation is `forward(x, parameter)`, its gradient `backward(g, saved, parameter)`; `saved` is
the activation's output, or its input for those in SAVES_INPUT, whose derivative can't be had from
the output. `parameter` is the slope of leaky_relu and the alpha of elu, at least 0.
"""

from __future__ import annotations

from math import pi, sqrt

from numba.extending import register_jitable

from tinynn.kernels.cpu.compiler import CONTRACT
from tinynn.kernels.cpu.elementary import erf, exp, like, sigmoid, tanh

scalar = register_jitable(fastmath=CONTRACT, forceinline=True)


@scalar
def identity(x, parameter):
    return x


@scalar
def identity_backward(g, out, parameter):
    return g


@scalar
def relu(x, parameter):
    zero = like(x, 0)
    return zero if x < zero else x  # NaN stays NaN


@scalar
def relu_backward(g, out, parameter):
    zero = like(out, 0)
    return zero if out <= zero else g


@scalar
def leaky_relu(x, parameter):
    return x * like(x, parameter) if x < like(x, 0) else x


@scalar
def leaky_relu_backward(g, out, parameter):
    return g * like(g, parameter) if out <= like(out, 0) else g


@scalar
def elu(x, parameter):
    # e^x - 1 loses digits near 0; tanh(x / 2) (e^x + 1) is the same number without that loss.
    negative = like(x, parameter) * tanh(x * like(x, 0.5)) * (exp(x) + like(x, 1))
    return negative if x < like(x, 0) else x


@scalar
def elu_backward(g, out, parameter):
    return g * (out + like(g, parameter)) if out <= like(out, 0) else g


@scalar
def sigmoid_(x, parameter):
    return sigmoid(x)


@scalar
def sigmoid_backward(g, out, parameter):
    return g * (like(out, 1) - out) * out


@scalar
def tanh_(x, parameter):
    return tanh(x)


@scalar
def tanh_backward(g, out, parameter):
    return g * (like(out, 1) - out * out)


@scalar
def silu(x, parameter):
    return x * sigmoid(x)


@scalar
def silu_backward(g, x, parameter):
    one, s = like(x, 1), sigmoid(x)
    return g * (s * (one + x * (one - s)))


@scalar
def gelu(x, parameter):
    return like(x, 0.5) * x * (like(x, 1) + erf(x * like(x, sqrt(0.5))))


@scalar
def gelu_backward(g, x, parameter):
    half = like(x, 0.5)
    cumulative = half * (like(x, 1) + erf(x * like(x, sqrt(0.5))))
    density = like(x, 1 / sqrt(2 * pi)) * exp(-half * x * x)
    return g * (cumulative + x * density)


@scalar
def gelu_tanh(x, parameter):
    inner = like(x, sqrt(2 / pi)) * (x + like(x, 0.044715) * x * x * x)
    return like(x, 0.5) * x * (like(x, 1) + tanh(inner))


@scalar
def gelu_tanh_backward(g, x, parameter):
    one, half, scale = like(x, 1), like(x, 0.5), like(x, sqrt(2 / pi))
    cubic = like(x, 0.044715)
    t = tanh(scale * (x + cubic * x * x * x))
    slope = scale * (one + like(x, 3) * cubic * x * x)
    return g * (half * (one + t) + half * x * (one - t * t) * slope)


ACTIVATIONS = {
    None: (identity, identity_backward),
    "relu": (relu, relu_backward),
    "leaky_relu": (leaky_relu, leaky_relu_backward),
    "elu": (elu, elu_backward),
    "sigmoid": (sigmoid_, sigmoid_backward),
    "tanh": (tanh_, tanh_backward),
    "silu": (silu, silu_backward),
    "gelu": (gelu, gelu_backward),
    "gelu_tanh": (gelu_tanh, gelu_tanh_backward),
}

SAVES_INPUT = ("silu", "gelu", "gelu_tanh")

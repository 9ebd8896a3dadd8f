"""Samples of the gate of a feed-forward block."""

from __future__ import annotations

import numpy as np

from tests.opinfo.info import OpInfo, refuse, sample
from tests.opinfo.linear import FUNCTIONS

ACTIVATIONS = ("relu", "silu", "gelu", "gelu_tanh")


def samples(make):
    for shape in ((4,), (3, 10), (2, 1, 6), (0, 4), (3, 0)):
        yield sample(make(*shape))
    for activation in ACTIVATIONS:
        yield sample(make(3, 8, low=-6, high=6), activation)


def reference(input, activation="silu"):
    gate, up = np.split(input, 2, axis=-1)
    return FUNCTIONS[activation](gate, None) * up


def in_torch(torch):
    F = torch.nn.functional
    functions = {
        **{name: getattr(F, name) for name in ("relu", "silu", "gelu")},
        "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    }

    def function(input, activation="silu"):
        gate, up = input.chunk(2, dim=-1)
        return functions[activation](gate) * up

    return function


def refused(make):
    yield refuse(ValueError, make(3, 4), "tanh", says="relu, .*'tanh'")
    yield refuse(RuntimeError, make(3, 5), says=r"\(3, 5\)")
    yield refuse(RuntimeError, make(), says=r"\(\)")
    yield refuse(TypeError, [1.0, 2.0], says="input.*list")


INFOS = [
    OpInfo(
        "gated_activation", samples=samples, reference=reference, refused=refused, torch=in_torch
    )
]

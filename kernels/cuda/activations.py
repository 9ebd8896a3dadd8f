"""The numbers of activations, as activations.cuh counts them."""

from __future__ import annotations

NUMBERS = {
    name: number
    for number, name in enumerate(
        (None, "relu", "leaky_relu", "elu", "sigmoid", "tanh", "silu", "gelu", "gelu_tanh")
    )
}

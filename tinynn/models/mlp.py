"""MLP: linear layers with activations between them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tinynn import nn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tinynn.autograd import Tensor

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "identity": nn.Identity,
}


class MLP(nn.Module):
    """Linear, activation, dropout, and so on, to a last Linear: (N, ...) -> (N, sizes[-1]).

    The default is for MNIST: 784 -> 256 -> ReLU -> 128 -> ReLU -> 10 scores, of which
    cross-entropy takes the softmax. Two sizes make softmax regression.

    Arguments:
        sizes: the number of inputs, of the units of each hidden layer, and of outputs.
        activation: "relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh", or "identity",
            which makes the whole network a linear map.
        dropout: the share of each hidden layer's units that is dropped in training.

    An input of more than two dimensions, such as images (N, 28, 28), is flattened.

    >>> import tinynn as tn
    >>> MLP()(tn.zeros(64, 28, 28)).shape
    (64, 10)
    >>> MLP([784, 10])
    MLP(
      (layers): Sequential(
        (0): Linear(in_features=784, out_features=10, bias=True)
      )
    )  # 7,850 parameters
    """

    def __init__(
        self,
        sizes: Sequence[int] = (784, 256, 128, 10),
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        if len(sizes) < 2 or any(size < 1 for size in sizes):
            raise ValueError(
                "MLP: sizes must be two or more positive numbers (inputs, hidden layers, outputs), "
                f"got {list(sizes)}"
            )
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"MLP: activation {activation!r} is unknown; expected one of "
                f"{', '.join(ACTIVATIONS)}"
            )
        self.sizes = tuple(sizes)
        *hidden, outputs = sizes[1:]
        # Sequential computes a Linear and the activation after it as one operation.
        self.layers = nn.Sequential()
        inputs = sizes[0]
        for size in hidden:
            self.layers.append(nn.Linear(inputs, size)).append(ACTIVATIONS[activation]())
            if dropout:
                self.layers.append(nn.Dropout(dropout))
            inputs = size
        self.layers.append(nn.Linear(inputs, outputs))

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim > 2:
            input = input.flatten(1)
        if math.prod(input.shape[1:]) != self.sizes[0]:
            raise ValueError(
                f"MLP: expected {self.sizes[0]} numbers a sample, got an input of {input.shape}"
            )
        result: Tensor = self.layers(input)
        return result

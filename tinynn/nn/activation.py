"""Activations as modules: each is the function of the same name in `functional`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynn.nn import functional as F
from tinynn.nn.module import Module

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinynn.autograd import Tensor


class ReLU(Module):
    """y = max(0, x).

    >>> import tinynn as tn
    >>> tn.nn.ReLU()(tn.tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input)


class LeakyReLU(Module):
    """y = x where x > 0, elsewhere negative_slope * x."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class ELU(Module):
    """y = x where x > 0, elsewhere alpha * (exp(x) - 1). Clevert et al. (2015)."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class GELU(Module):
    """y = x * Phi(x), Phi being the normal distribution function. Hendrycks and Gimpel (2016).

    `approximate="tanh"` takes y = x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))).
    """

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """y = x * sigmoid(x)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.silu(input)


class Sigmoid(Module):
    """y = 1 / (1 + exp(-x))."""

    def forward(self, input: Tensor) -> Tensor:
        return F.sigmoid(input)


class Tanh(Module):
    """y = tanh(x)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.tanh(input)


class Softplus(Module):
    """y = log(1 + exp(beta * x)) / beta, and x itself where beta * x is above `threshold`."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class Softmax(Module):
    """y = exp(x) / sum(exp(x)) along `dim`."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """y = x - log(sum(exp(x))) along `dim`."""

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


# The activations that `functional.linear_activation` can take along: its activation and parameter.
FUSED: dict[type[Module], Callable[[Any], tuple[str, float | None]]] = {
    ReLU: lambda layer: ("relu", None),
    LeakyReLU: lambda layer: ("leaky_relu", layer.negative_slope),
    ELU: lambda layer: ("elu", layer.alpha),
    GELU: lambda layer: ("gelu_tanh" if layer.approximate == "tanh" else "gelu", None),
    SiLU: lambda layer: ("silu", None),
    Sigmoid: lambda layer: ("sigmoid", None),
    Tanh: lambda layer: ("tanh", None),
}

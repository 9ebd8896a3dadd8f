"""The gate of a feed-forward block, as one fused operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynn.backend.reference.activations import ACTIVATIONS as FORMULAS
from tinynn.backend.reference.precision import narrowed, widened
from tinynn.ops.activation import gelu, relu, silu
from tinynn.ops.dims import check_tensor
from tinynn.ops.registry import apply, declare_fused, public
from tinynn.ops.slicing import split

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinynn.autograd import Tensor

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": gelu,
    "gelu_tanh": lambda x: gelu(x, approximate="tanh"),
    "relu": relu,
    "silu": silu,
}


def _vjp(
    F: Any, g: Any, x: Any, *, needs: tuple[bool, ...], into: tuple[Any, ...], activation: str
) -> tuple[Any]:
    xp, wide, half = F.backend.xp, widened(x), x.shape[-1] // 2
    gate, up, slope = wide[..., :half], wide[..., half:], widened(g)
    forward, backward = FORMULAS[activation]
    gate_gradient = backward(xp, slope * up, gate, 0.0)
    up_gradient = slope * forward(xp, gate, 0.0)
    return (narrowed(xp.concatenate([gate_gradient, up_gradient], axis=-1), x),)


def _unfused(F: Any, input: Tensor, *, activation: str) -> Tensor:
    gate, up = split(input, input.shape[-1] // 2, -1)
    return ACTIVATIONS[activation](gate) * up


GATED_ACTIVATION = declare_fused(
    "gated_activation",
    "gated_activation",
    saves=("input",),
    vjp=_vjp,
    unfused=_unfused,
    promotes="float",
)


@public
def gated_activation(input: Tensor, activation: str = "silu") -> Tensor:
    """activation(gate) * up, of an input whose last dimension is the gate and up behind it.

    With silu it is SwiGLU, with gelu GEGLU (https://arxiv.org/abs/2002.05202, equation 5), without
    their products.

    Arguments:
        input: (..., 2 H) float.
        activation: "relu", "silu", "gelu" or "gelu_tanh".

    Returns (..., H).

    Raises ValueError for an unknown activation, RuntimeError for a last dimension that has no
    halves.

    >>> import tinynn as tn
    >>> tn.nn.functional.gated_activation(tn.tensor([[2.0, -1.0, 3.0, 5.0]]), "relu")
    tensor([[6., 0.]])
    """
    check_tensor("gated_activation", input)
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"gated_activation: activation must be one of {', '.join(ACTIVATIONS)}, got "
            f"{activation!r}"
        )
    if not input.ndim or input.shape[-1] % 2:
        raise RuntimeError(
            f"gated_activation: the input's last dimension must be a gate and as much behind it, "
            f"its shape is {input.shape}"
        )
    return apply(GATED_ACTIVATION, (input,), {"activation": activation})

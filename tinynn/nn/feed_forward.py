"""FeedForward: what a transformer does with each token by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinynn.nn import functional as F
from tinynn.nn.linear import Linear
from tinynn.nn.module import Module
from tinynn.ops.gating import ACTIVATIONS

if TYPE_CHECKING:
    from tinynn.autograd import Tensor


class FeedForward(Module):
    """y = down(f(up(x))), or gated y = down(f(gate(x)) * up(x)): (..., D) -> (..., D).

    With a gate and silu it is SwiGLU (https://arxiv.org/abs/2002.05202).

    Arguments:
        embed_dim: D.
        hidden_dim: the width between.
        activation: f: "gelu", "gelu_tanh", "relu" or "silu".
        gated: whether there is a gate.
        bias: whether the projections have one.

    Raises ValueError for an unknown activation.

    >>> import tinynn as tn
    >>> tn.nn.FeedForward(64, 256, "silu", gated=True, bias=False)(tn.randn(3, 64)).shape
    (3, 64)
    """

    def __init__(
        self,
        embed_dim: int,
        hidden_dim: int,
        activation: str = "gelu",
        gated: bool = False,
        bias: bool = True,
    ) -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"FeedForward: activation {activation!r} is unknown; expected one of "
                f"{', '.join(ACTIVATIONS)}"
            )
        self.activation = activation
        self.gate_proj = Linear(embed_dim, hidden_dim, bias) if gated else None
        self.up_proj = Linear(embed_dim, hidden_dim, bias)
        self.down_proj = Linear(hidden_dim, embed_dim, bias)
        # In the place of gate and up, where they are stacked (see tinynn.quant).
        self.gate_up_proj: Module | None = None

    def forward(self, input: Tensor) -> Tensor:
        activate = ACTIVATIONS[self.activation]
        if self.gate_up_proj is not None:
            hidden = F.gated_activation(self.gate_up_proj(input), self.activation)
        elif self.gate_proj is not None:
            hidden = activate(self.gate_proj(input)) * self.up_proj(input)
        else:
            hidden = activate(self.up_proj(input))
        result: Tensor = self.down_proj(hidden)
        return result

    def extra_repr(self) -> str:
        return f"activation={self.activation!r}"

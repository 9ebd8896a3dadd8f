"""TransformerConfig: the sizes and switches that tell one language model from another."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from tinynn.ops.gating import ACTIVATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

# No model is larger in any of its sizes; a file that says so is damaged, or meant to do damage.
LARGEST = 1 << 24
NORMS = ("layer", "rms")


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """What a `Transformer` is made of.

    Arguments:
        vocab_size: how many tokens there are.
        hidden_size: the width of a token's vector.
        num_layers: how many layers.
        num_heads, num_kv_heads: heads of queries, and of keys and values; None for as many.
        head_dim: the size of a head; None for hidden_size / num_heads.
        intermediate_size: the width inside a feed-forward block.
        max_positions: the longest text.
        activation, gated: of the feed-forward block; see `nn.FeedForward`.
        norm, norm_eps: "layer" or "rms", and its epsilon.
        learned_positions: whether positions are learned vectors that are added to the tokens';
            else queries and keys are turned.
        rope_base, rope_scaling, rope_interleaved: see `nn.RotaryEmbedding`.
        qkv_bias, out_bias, mlp_bias: whether these projections have biases.
        qk_norm: whether each head's queries and keys go through an RMSNorm.
        window: how many tokens a token sees, itself the last of them; None for all.
        window_from: the first layer that has the window.
        tied: whether tokens are scored with the table that they are looked up in.
        dropout: in training, of embeddings, attention weights and what a block adds.

    Raises ValueError for a size that is no positive number or larger than any model's, for heads
    that do not divide, and for unknown names.

    >>> TransformerConfig(vocab_size=65, hidden_size=128, num_layers=4, num_heads=4).head_dim
    32
    """

    vocab_size: int
    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: Any = None
    head_dim: Any = None
    intermediate_size: Any = None
    max_positions: int = 2048
    activation: str = "silu"
    gated: bool = True
    norm: str = "rms"
    norm_eps: float = 1e-5
    learned_positions: bool = False
    rope_base: float = 10000.0
    rope_scaling: Mapping[str, Any] | None = None
    rope_interleaved: bool = False
    qkv_bias: bool = False
    out_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False
    window: int | None = None
    window_from: int = 0
    tied: bool = False
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in ("hidden_size", "num_heads"):
            self._check_size(name)
        filled = {
            "num_kv_heads": self.num_heads,
            "head_dim": self.hidden_size // self.num_heads,
            "intermediate_size": 4 * self.hidden_size,
        }
        if self.head_dim is None and self.hidden_size % self.num_heads:
            raise ValueError(
                f"TransformerConfig: hidden_size must be a multiple of num_heads where head_dim is "
                f"not given, got {self.hidden_size} and {self.num_heads}"
            )
        for name, value in filled.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        for field in fields(self):
            if field.name in filled or (field.type == "int" and field.name != "window_from"):
                self._check_size(field.name)
        if self.window is not None:
            self._check_size("window")
        if self.num_heads % self.num_kv_heads:
            raise ValueError(
                f"TransformerConfig: num_heads must be a multiple of num_kv_heads, got "
                f"{self.num_heads} and {self.num_kv_heads}"
            )
        for name, known in (("activation", tuple(ACTIVATIONS)), ("norm", NORMS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"TransformerConfig: {name} {getattr(self, name)!r} is unknown; expected one "
                    f"of {', '.join(known)}"
                )

    def _check_size(self, name: str) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST:
            raise ValueError(
                f"TransformerConfig: {name} must be a whole number from 1 to {LARGEST}, got "
                f"{value!r}"
            )

    def matrix_numbers(self) -> int:
        """How many numbers the matrices of such a model have, those of all layers together.

        >>> TransformerConfig(
        ...     vocab_size=65, hidden_size=128, num_layers=4, num_heads=4, tied=True
        ... ).matrix_numbers()
        1056896
        """
        heads = (2 * self.num_heads + 2 * self.num_kv_heads) * self.head_dim
        inside = (3 if self.gated else 2) * self.intermediate_size
        tables = self.vocab_size * (1 if self.tied else 2)
        tables += self.max_positions if self.learned_positions else 0
        numbers: int = self.hidden_size * (tables + self.num_layers * (heads + inside))
        return numbers

    def window_of(self, layer: int) -> int | None:
        """The window of a layer."""
        return self.window if layer >= self.window_from else None

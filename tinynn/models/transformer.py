"""Transformer: the decoder of all language models here, which trains and generates.

GPT-2 (Radford et al. 2019) and the Llama family (https://arxiv.org/abs/2302.13971) are the same
layers with other switches; see `TransformerConfig`. Modules have the names that Hugging Face's
Llama has for them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tinynn import nn
from tinynn.autograd import checkpoint
from tinynn.nn import functional as F
from tinynn.nn import init
from tinynn.ops.creation import arange

if TYPE_CHECKING:
    from tinynn.autograd import Tensor
    from tinynn.backend.devices import Device
    from tinynn.models.transformer_config import TransformerConfig
    from tinynn.nn.attention import AttentionCache

INITIAL_STD = 0.02  # of weights before training, GPT-2's


class DecoderLayer(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(
        self, config: TransformerConfig, index: int, rotary: nn.RotaryEmbedding | None
    ) -> None:
        self.index = index
        self.input_layernorm = _norm(config)
        self.self_attn = nn.SelfAttention(
            config.hidden_size,
            config.num_heads,
            config.num_kv_heads,
            config.head_dim,
            bias=config.qkv_bias,
            out_bias=config.out_bias,
            qk_norm=config.norm_eps if config.qk_norm else None,
            rotary=rotary,
            window=config.window_of(index),
            dropout=config.dropout,
        )
        self.post_attention_layernorm = _norm(config)
        self.mlp = nn.FeedForward(
            config.hidden_size,
            config.intermediate_size,
            config.activation,
            config.gated,
            config.mlp_bias,
        )
        self.dropout = nn.Dropout(config.dropout) if config.dropout else nn.Identity()

    def forward(self, x: Tensor, cache: AttentionCache | None = None) -> Tensor:
        attended = self.self_attn(self.input_layernorm(x), cache=cache, layer=self.index)
        x = x + self.dropout(attended)
        result: Tensor = x + self.dropout(self.mlp(self.post_attention_layernorm(x)))
        return result


class Transformer(nn.Module):
    """Tokens -> scores of each next token.

    Arguments:
        config: its sizes and switches.

    Attributes:
        embed_tokens, embed_positions: Embeddings; the latter None where queries and keys are
            turned instead.
        layers, norm: the layers, and the norm after the last.
        lm_head: a Linear to the scores; None where the config is tied.
        gradient_checkpointing: whether training keeps the input of each layer alone, and computes
            the layer again in backward (`tn.checkpoint`): less memory, more time, the same numbers.

    >>> import tinynn as tn
    >>> from tinynn.models import TransformerConfig
    >>> config = TransformerConfig(vocab_size=50, hidden_size=32, num_layers=2, num_heads=1)
    >>> Transformer(config)(tn.tensor([[3, 1, 4]])).shape
    (1, 3, 50)
    """

    def __init__(self, config: TransformerConfig) -> None:
        self.config = config
        self.gradient_checkpointing = False
        width, rotary = config.hidden_size, None
        self.embed_tokens = nn.Embedding(config.vocab_size, width)
        self.embed_positions = None
        if config.learned_positions:
            self.embed_positions = nn.Embedding(config.max_positions, width)
        else:
            rotary = nn.RotaryEmbedding(
                config.head_dim,
                config.rope_base,
                config.max_positions,
                config.rope_scaling,
                config.rope_interleaved,
            )
        self.dropout = nn.Dropout(config.dropout) if config.dropout else nn.Identity()
        self.layers = nn.ModuleList(
            DecoderLayer(config, index, rotary) for index in range(config.num_layers)
        )
        self.norm = _norm(config)
        self.lm_head = None if config.tied else nn.Linear(width, config.vocab_size, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weights as GPT-2 does: N(0, 0.02^2), those that add to x divided by the root of how
        many do; biases 0."""
        added = INITIAL_STD / math.sqrt(2 * self.config.num_layers)
        for name, parameter in self.named_parameters():
            if name.endswith(".bias"):
                init.zeros_(parameter)
            elif parameter.ndim == 2:
                ends = name.endswith(("o_proj.weight", "down_proj.weight"))
                init.normal_(parameter, 0.0, added if ends else INITIAL_STD)

    @property
    def device(self) -> Device:
        """Where it computes."""
        return next(self.parameters()).device

    def forward(
        self, tokens: Tensor, *, cache: AttentionCache | None = None, rows: Any = None
    ) -> Tensor:
        """Scores of the next token behind each one.

        Arguments:
            tokens: integers (N, L), sequences from their beginning; with a cache (T,), the new
                tokens of all its sequences, one after the other.
            cache: as `KVCache.batch` makes it, for generation.
            rows: with a cache, which of the tokens are to be scored; None for all.

        Returns (N, L, vocab_size), with a cache (T, vocab_size) or a row for each of `rows`.

        Raises RuntimeError for another shape, IndexError for a token or a position that is none.
        """
        if tokens.ndim != (2 if cache is None else 1):
            expected = "(N, L)" if cache is None else "(T,) with a cache"
            raise RuntimeError(
                f"Transformer: tokens must be {expected}, their shape is {tokens.shape}"
            )
        x = self.embed_tokens(tokens)
        if self.embed_positions is not None:
            places = (
                cache.positions
                if cache is not None
                else arange(tokens.shape[1], device=tokens.device)
            )
            x = x + self.embed_positions(places)
        x = self.dropout(x)
        for layer in self.layers:
            if self.gradient_checkpointing and cache is None:
                x = checkpoint(layer, x)
            else:
                x = layer(x, cache)
        if rows is not None:
            x = x[rows]
        return self.scores(self.norm(x))

    def scores(self, x: Tensor) -> Tensor:
        """(..., hidden_size) -> (..., vocab_size)."""
        if self.lm_head is None:
            return F.linear(x, self.embed_tokens.weight)
        result: Tensor = self.lm_head(x)
        return result


def _norm(config: TransformerConfig) -> nn.Module:
    kind = nn.RMSNorm if config.norm == "rms" else nn.LayerNorm
    return kind(config.hidden_size, config.norm_eps)

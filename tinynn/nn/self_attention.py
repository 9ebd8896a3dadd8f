"""SelfAttention: the attention of language models, with what their families differ in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinynn.nn import functional as F
from tinynn.nn.drawing import Drawing
from tinynn.nn.linear import Linear
from tinynn.nn.module import Module
from tinynn.nn.normalization import RMSNorm
from tinynn.ops.shape import permute, reshape

if TYPE_CHECKING:
    from tinynn.autograd import Tensor
    from tinynn.nn.attention import AttentionCache
    from tinynn.nn.rotary import RotaryEmbedding


class SelfAttention(Drawing):
    """Causal attention of tokens to those before them: (N, L, embed_dim) -> (N, L, embed_dim).

    Where `MultiheadAttention` is PyTorch's, this one has the parameters of Hugging Face's language
    models: a projection each, heads of any size, and norms of queries and keys.

    Arguments:
        embed_dim: the width of what comes and goes.
        num_heads: heads of queries.
        num_kv_heads: heads of keys and values, a divisor of num_heads; None for as many
            (https://arxiv.org/abs/2305.13245).
        head_dim: the size of a head; None for embed_dim / num_heads.
        bias, out_bias: whether the projections of query, key and value, and that of the result,
            have one.
        qk_norm: the epsilon of an RMSNorm over each head's query and key (Qwen3), or None.
        rotary: turns queries and keys by their positions; or None.
        window, sinks: each token sees the last `window` ones and the first `sinks`; None for all.
        dropout: the share of the weights that is left out in training.

    Raises ValueError for numbers of heads that do not divide.

    >>> import tinynn as tn
    >>> layer = tn.nn.SelfAttention(64, num_heads=4, num_kv_heads=2)
    >>> layer(tn.randn(3, 5, 64)).shape
    (3, 5, 64)
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        num_kv_heads: int | None = None,
        head_dim: int | None = None,
        *,
        bias: bool = False,
        out_bias: bool = False,
        qk_norm: float | None = None,
        rotary: RotaryEmbedding | None = None,
        window: int | None = None,
        sinks: int = 0,
        dropout: float = 0.0,
    ) -> None:
        kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        if num_heads < 1 or kv_heads < 1 or num_heads % kv_heads:
            raise ValueError(
                f"SelfAttention: num_heads must be a multiple of num_kv_heads, got {num_heads} and "
                f"{kv_heads}"
            )
        if head_dim is None and embed_dim % num_heads:
            raise ValueError(
                f"SelfAttention: embed_dim must be a multiple of num_heads where head_dim is not "
                f"given, got {embed_dim} and {num_heads}"
            )
        size = embed_dim // num_heads if head_dim is None else head_dim
        self.num_heads, self.num_kv_heads, self.head_dim = num_heads, kv_heads, size
        self.q_proj = Linear(embed_dim, num_heads * size, bias)
        self.k_proj = Linear(embed_dim, kv_heads * size, bias)
        self.v_proj = Linear(embed_dim, kv_heads * size, bias)
        self.o_proj = Linear(num_heads * size, embed_dim, out_bias)
        # In the place of the first three, where they are stacked (see tinynn.quant).
        self.qkv_proj: Module | None = None
        self.q_norm = None if qk_norm is None else RMSNorm(size, qk_norm)
        self.k_norm = None if qk_norm is None else RMSNorm(size, qk_norm)
        self.rotary, self.window, self.sinks, self.dropout = rotary, window, sinks, dropout
        self.start_drawing()

    def draws(self) -> bool:
        return bool(self.dropout)

    def forward(
        self, input: Tensor, *, cache: AttentionCache | None = None, layer: int = 0
    ) -> Tensor:
        """Each token's mixture of what it sees.

        Arguments:
            input: (N, L, embed_dim); with a cache (tokens, embed_dim), the new tokens of all its
                sequences, each of which sees those of its sequence so far.
            cache: for generation; no gradient goes through it.
            layer: which layer of the cache is this one's.
        """
        q, k, v = self._heads(input)
        if cache is not None:
            out = cache.update_and_attend(
                layer, q, k, v, rotary=self.rotary, window=self.window, sinks=self.sinks
            )
            attended: Tensor = self.o_proj(reshape(out, input.shape[0], -1))
            return attended
        q, k, v = (permute(x, 0, 2, 1, 3) for x in (q, k, v))
        if self.rotary is not None:
            q, k = self.rotary(q), self.rotary(k)
        p = self.dropout if self.training else 0.0
        numbers = self.next_numbers() if p else {}
        out = F.scaled_dot_product_attention(
            q,
            k,
            v,
            None,
            p,
            True,
            enable_gqa=self.num_kv_heads < self.num_heads,
            window=self.window,
            sinks=self.sinks,
            **numbers,
        )
        result: Tensor = self.o_proj(reshape(permute(out, 0, 2, 1, 3), *input.shape[:2], -1))
        return result

    def _heads(self, input: Tensor) -> tuple[Tensor, ...]:
        """Query, key and value, (..., heads, head_dim)."""
        q, k, v = (
            reshape(part, *input.shape[:-1], -1, self.head_dim) for part in self._project(input)
        )
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        return q, k, v

    def _project(self, input: Tensor) -> tuple[Tensor, ...]:
        """Query, key and value, (..., heads * head_dim)."""
        if self.qkv_proj is None:
            return self.q_proj(input), self.k_proj(input), self.v_proj(input)
        packed, size = self.qkv_proj(input), self.num_kv_heads * self.head_dim
        return packed[..., : -2 * size], packed[..., -2 * size : -size], packed[..., -size:]

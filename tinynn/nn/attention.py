"""MultiheadAttention: several attentions side by side, each in a part of the width."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

from tinynn.nn import functional as F
from tinynn.nn import init
from tinynn.nn.attention_arguments import (
    check_masks,
    check_new_tokens,
    check_sequences,
    merged_mask,
)
from tinynn.nn.drawing import Drawing
from tinynn.nn.linear import Linear
from tinynn.nn.parameter import Parameter
from tinynn.ops.attention_weights import attention_weights, per_head, widened
from tinynn.ops.conversion import to
from tinynn.ops.creation import empty
from tinynn.ops.linear_algebra import matmul
from tinynn.ops.reduction import mean
from tinynn.ops.shape import permute, reshape, squeeze, unsqueeze

if TYPE_CHECKING:
    from tinynn.autograd import Tensor
    from tinynn.nn.rotary import RotaryEmbedding


class AttentionCache(Protocol):
    """Where the keys and values of earlier tokens are kept, so that they are computed once.

    `tinynn.inference.KVCache.batch` gives one. The new tokens of all sequences are packed, one
    after the other.
    """

    positions: Tensor  # [tokens] integers: where each new token is in its sequence

    def update_and_attend(
        self,
        layer: int,
        query: Any,
        key: Any,
        value: Any,
        *,
        rotary: RotaryEmbedding | None = None,
        scale: float | None = None,
        window: int | None = None,
        sinks: int = 0,
    ) -> Any:
        """Appends new tokens' keys and values to a layer, and attends to all of their sequences.

        Arguments:
            query: [tokens, heads, head_dim], not yet turned.
            key, value: [tokens, kv_heads, head_dim].
            rotary: turns queries and keys by their positions, which the cache knows.

        Returns [tokens, heads, head_dim]: each token sees those before it and itself.
        """
        ...


class MultiheadAttention(Drawing):
    """Attention in `num_heads` parts of the width, each with keys of its own to look for.

    out_proj(concatenation of softmax(q_h k_h^T / sqrt(head_dim)) v_h), where q, k and v are linear
    in query, key and value (https://arxiv.org/abs/1706.03762). Parameters, their names and first
    values are PyTorch's, so that a state of one loads into the other.

    Arguments:
        embed_dim: the width of query and result.
        num_heads: how many parts; a divisor of embed_dim.
        dropout: the share of the weights that is left out in training.
        bias: whether the projections have one.
        add_bias_kv, add_zero_attn: PyTorch's extra positions, which are not here: only False.
        kdim, vdim: the widths of key and value; None for embed_dim.
        batch_first: sequences are (N, L, embed_dim), else (L, N, embed_dim).
        device, dtype: of the parameters; None takes the defaults.
        num_kv_heads: heads of key and value, a divisor of num_heads; None for as many
            (https://arxiv.org/abs/2305.13245).
        rotary: turns queries and keys by their positions, 0, 1, 2 ...; `nn.RotaryEmbedding`.
        window, sinks: with is_causal, each query sees the last `window` keys and the first `sinks`.

    Attributes:
        in_proj_weight: (embed_dim + 2 * kv_heads * head_dim, embed_dim), the projections of query,
            key and value; None where widths differ, as then there are
        q_proj_weight, k_proj_weight, v_proj_weight: (embed_dim, embed_dim), (.., kdim), (.., vdim).
        in_proj_bias: the biases of all three; or None.
        out_proj: a Linear(embed_dim, embed_dim).

    Raises ValueError for numbers of heads that do not divide.

    >>> import tinynn as tn
    >>> layer = tn.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = tn.randn(3, 5, 8)
    >>> out, weights = layer(x, x, x)
    >>> out.shape, weights.shape
    ((3, 5, 8), (3, 5, 5))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        num_kv_heads: int | None = None,
        rotary: RotaryEmbedding | None = None,
        window: int | None = None,
        sinks: int = 0,
    ) -> None:
        kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        if num_heads < 1 or embed_dim < 1 or embed_dim % num_heads:
            raise ValueError(
                f"MultiheadAttention: embed_dim must be a multiple of num_heads, got {embed_dim} "
                f"and {num_heads}"
            )
        if kv_heads < 1 or num_heads % kv_heads:
            raise ValueError(
                f"MultiheadAttention: num_heads must be a multiple of num_kv_heads, got "
                f"{num_heads} and {kv_heads}"
            )
        if not 0 <= dropout <= 1:
            raise ValueError(f"MultiheadAttention: dropout must be between 0 and 1, got {dropout}")
        if add_bias_kv or add_zero_attn:
            raise NotImplementedError(
                "MultiheadAttention: add_bias_kv and add_zero_attn are not supported; append the "
                "extra positions to key and value yourself"
            )
        if (window is not None and window < 1) or sinks < 0 or (sinks and window is None):
            raise ValueError(
                f"MultiheadAttention: window must be None or at least 1, and sinks go with one and "
                f"are 0 or more; got {window} and {sinks}"
            )
        self.embed_dim, self.num_heads, self.num_kv_heads = embed_dim, num_heads, kv_heads
        self.head_dim = embed_dim // num_heads
        if rotary is not None and rotary.head_dim != self.head_dim:
            raise ValueError(
                f"MultiheadAttention: rotary turns vectors of {rotary.head_dim}, head_dim is "
                f"{self.head_dim}"
            )
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.dropout, self.batch_first = dropout, batch_first
        self.window, self.sinks = window, sinks
        options: dict[str, Any] = {"device": device, "dtype": dtype}
        kv_dim = kv_heads * self.head_dim
        self.in_proj_weight: Parameter | None = None
        self.q_proj_weight: Parameter | None = None
        self.k_proj_weight: Parameter | None = None
        self.v_proj_weight: Parameter | None = None
        if self.kdim == self.vdim == embed_dim:
            self.in_proj_weight = Parameter(empty(embed_dim + 2 * kv_dim, embed_dim, **options))
        else:
            self.q_proj_weight = Parameter(empty(embed_dim, embed_dim, **options))
            self.k_proj_weight = Parameter(empty(kv_dim, self.kdim, **options))
            self.v_proj_weight = Parameter(empty(kv_dim, self.vdim, **options))
        self.in_proj_bias = Parameter(empty(embed_dim + 2 * kv_dim, **options)) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, **options)
        self.rotary = rotary
        self.start_drawing()
        self.reset_parameters()

    def draws(self) -> bool:
        return bool(self.dropout)

    def reset_parameters(self) -> None:
        """Draws the weights of the projections anew, and sets the biases to 0."""
        for weight in (
            self.in_proj_weight,
            self.q_proj_weight,
            self.k_proj_weight,
            self.v_proj_weight,
        ):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None and self.out_proj.bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
        *,
        cache: AttentionCache | None = None,
        layer: int = 0,
    ) -> tuple[Tensor, Tensor | None]:
        """(out, weights): attention from query to key and value.

        Arguments:
            query: (L, N, embed_dim), (N, L, embed_dim) with batch_first, or (L, embed_dim).
            key, value: likewise with S, kdim and vdim.
            key_padding_mask: (N, S) or (S,): bool, True for keys to be left out (the opposite of
                `F.scaled_dot_product_attention`, as in PyTorch); or floats that are added.
            need_weights: whether the weights are returned; without them less memory and time is
                taken.
            attn_mask: (L, S) or (N * num_heads, L, S): bool, True where a query may not attend; or
                floats that are added.
            average_attn_weights: weights are the mean over the heads, (N, L, S), else of each head,
                (N, num_heads, L, S).
            is_causal: query i sees the keys 0 to i only. An attn_mask beside it is taken to say the
                same, as in PyTorch, and is not read.
            cache: for decoding. Query, key and value are then one tensor (tokens, embed_dim) of new
                tokens; each sees those of its sequence so far. There are no masks and no weights.
            layer: which layer of the cache is this one's.

        Returns out of query's shape, and the weights (after dropout) or None. A query that sees
        nothing has weights of 0.

        Raises RuntimeError for shapes that do not fit, ValueError for options that exclude each
        other.
        """
        if cache is not None:
            check_new_tokens(self, query, key, value, (key_padding_mask, attn_mask))
            q, k, v = (
                reshape(x, x.shape[0], -1, self.head_dim) for x in self._project(query, key, value)
            )
            out = cache.update_and_attend(
                layer, q, k, v, rotary=self.rotary, window=self.window, sinks=self.sinks
            )
            return self.out_proj(reshape(out, *query.shape)), None
        check_sequences(self, query, key, value)
        q, k, v = map(self._heads, self._project(query, key, value))
        if self.rotary is not None:
            q, k = self.rotary(q), self.rotary(k)
        check_masks(q, k, key_padding_mask, attn_mask, is_causal, self.window)
        options: dict[str, Any] = {
            "is_causal": is_causal,
            "window": self.window,
            "sinks": self.sinks,
        }
        mask = None
        if key_padding_mask is not None or (attn_mask is not None and not is_causal):
            mask = merged_mask(q, k, key_padding_mask, attn_mask, **options)
            options = {}
        out, weights = self._attend(q, k, v, mask, need_weights, options)
        if weights is not None and average_attn_weights:
            weights = mean(weights, 1)
        if weights is not None and query.ndim == 2:
            weights = squeeze(weights, 0)
        return self.out_proj(self._joined(out, query.ndim)), weights

    def _attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None,
        need_weights: bool,
        options: dict[str, Any],
    ) -> tuple[Tensor, Tensor | None]:
        """[N, heads, L, head_dim], and [N, heads, L, S] if wanted."""
        p = self.dropout if self.training else 0.0
        numbers = self.next_numbers() if p else {}
        if not need_weights:
            result = F.scaled_dot_product_attention(
                q,
                k,
                v,
                mask,
                p,
                enable_gqa=self.num_kv_heads < self.num_heads,
                **options,
                **numbers,
            )
            return result, None
        weights = attention_weights(q, k, mask, scale=1 / math.sqrt(self.head_dim), **options)
        if p:
            weights = F.dropout(weights, p, **numbers)
        result = matmul(weights, per_head(widened(v), self.num_heads))
        return to(result, dtype=q.data.dtype), to(weights, dtype=q.data.dtype)

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        """query, key and value times their weights; one product where all three are one."""
        bias, ends = self.in_proj_bias, self._ends()
        if self.in_proj_weight is not None and query is key and key is value:
            packed = F.linear(query, self.in_proj_weight, bias)
            return tuple(packed[..., first:last] for first, last in ends)
        weights: Any = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        if self.in_proj_weight is not None:
            weights = tuple(self.in_proj_weight[first:last] for first, last in ends)
        biases = [None if bias is None else bias[first:last] for first, last in ends]
        return tuple(map(F.linear, (query, key, value), weights, biases))

    def _ends(self) -> list[tuple[int, int]]:
        """The rows of in_proj_weight that are query's, key's and value's."""
        width, own = self.num_kv_heads * self.head_dim, self.embed_dim
        return [(0, own), (own, own + width), (own + width, own + 2 * width)]

    def _heads(self, x: Tensor) -> Tensor:
        """A sequence as [N, heads, L, head_dim]."""
        parts = reshape(x, *x.shape[:-1], -1, self.head_dim)
        if x.ndim == 2:
            return unsqueeze(permute(parts, 1, 0, 2), 0)
        return permute(parts, *((0, 2, 1, 3) if self.batch_first else (1, 2, 0, 3)))

    def _joined(self, x: Tensor, ndim: int) -> Tensor:
        """What `_heads` took apart."""
        batch, _, length, _ = x.shape
        if self.batch_first or ndim == 2:
            rows = permute(x, 0, 2, 1, 3)
            lead = (batch, length) if ndim == 3 else (length,)
        else:
            rows, lead = permute(x, 2, 0, 1, 3), (length, batch)
        return reshape(rows, *lead, self.embed_dim)

    def extra_repr(self) -> str:
        grouped = (
            "" if self.num_kv_heads == self.num_heads else f", num_kv_heads={self.num_kv_heads}"
        )
        window = "" if self.window is None else f", window={self.window}, sinks={self.sinks}"
        return (
            f"{self.embed_dim}, {self.num_heads}, dropout={self.dropout}, "
            f"batch_first={self.batch_first}{grouped}{window}"
        )

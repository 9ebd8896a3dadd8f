"""A small GPT, written with tinynn's layers as a user would write it.

Token and position embeddings; blocks of causal attention and an MLP, each behind a LayerNorm and
added to what came in (pre-norm); a last LayerNorm and a Linear to the scores of the next token.
Modules have the names of those in `gpt_in_torch`, so that one loads the other's weights.
"""

from __future__ import annotations

import math

import tinynn as tn
import tinynn.nn.functional as F
from tinynn import nn


class Attention(nn.Module):
    """Causal self-attention of several heads: (N, T, width) -> (N, T, width)."""

    def __init__(self, width: int, heads: int, context: int) -> None:
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        mask = tn.full((context, context), -math.inf).triu(1)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: tn.Tensor) -> tn.Tensor:
        samples, length, width = x.shape
        size = width // self.heads
        q, k, v = (
            part.reshape(samples, length, self.heads, size).transpose(1, 2)
            for part in self.qkv(x).chunk(3, dim=-1)
        )
        scores = q @ k.transpose(-2, -1) * (1 / math.sqrt(size)) + self.mask[:length, :length]
        mixed = F.softmax(scores, dim=-1) @ v
        return self.out(mixed.transpose(1, 2).reshape(samples, length, width))


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, width: int, heads: int, context: int) -> None:
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, context)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: tn.Tensor) -> tn.Tensor:
        x = x + self.attention(self.attention_norm(x))
        return x + self.mlp(self.mlp_norm(x))


class GPT(nn.Module):
    """Tokens (N, T) -> scores of each next token (N, T, vocabulary)."""

    def __init__(self, vocabulary: int, context: int, width: int, layers: int, heads: int) -> None:
        self.tokens = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads, context) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens: tn.Tensor) -> tn.Tensor:
        places = tn.arange(tokens.shape[1])
        return self.head(self.norm(self.blocks(self.tokens(tokens) + self.positions(places))))


def loss_of(model: GPT, tokens: tn.Tensor, targets: tn.Tensor) -> tn.Tensor:
    """The mean cross-entropy of the next tokens, both (N, T)."""
    return F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())

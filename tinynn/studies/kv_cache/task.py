"""A text of a few sentences that come round and round, and a small transformer to continue it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinynn.autograd.tensor import Tensor
from tinynn.nn import (
    Embedding,
    Linear,
    Module,
    ModuleList,
    MultiheadAttention,
    RMSNorm,
    RotaryEmbedding,
)
from tinynn.nn import functional as F
from tinynn.nn.attention import AttentionCache

__all__ = ["PROMPT", "TEXT", "VOCABULARY", "Network", "Settings", "sentence", "words_of"]

SENTENCES = (
    "the quick brown fox jumps over the lazy dog .",
    "pack my box with five dozen liquor jugs .",
    "sphinx of black quartz , judge my vow .",
    "how vexingly quick daft zebras jump .",
    "the five boxing wizards jump quickly .",
    "waltz , bad nymph , for quick jigs vex .",
)
TEXT = " ".join(SENTENCES).split()
VOCABULARY = sorted(set(TEXT))
PROMPT = "the quick brown fox jumps over the lazy"


@dataclass(frozen=True)
class Settings:
    """How much is run."""

    width: int = 128
    heads: int = 4
    layers: int = 2
    steps: int = 120
    batch_size: int = 16
    trained_words: int = 96
    rate: float = 0.003
    generated: int = 40
    lengths: tuple[int, ...] = (16, 32, 64, 128, 256, 512, 1024, 2048)
    window: int = 64
    sinks: int = 4
    rounds: int = 7
    seconds: float = 0.03


def words_of(first: int, count: int) -> list[int]:
    """Words of the text from a place on, which goes on from its beginning at its end.

    >>> sentence(words_of(7, 4))
    'lazy dog . pack'
    """
    return [VOCABULARY.index(TEXT[(first + place) % len(TEXT)]) for place in range(count)]


def sentence(words: list[int]) -> str:
    """The words that numbers stand for."""
    return " ".join(VOCABULARY[word] for word in words)


class Block(Module):
    """Attention, and behind it an MLP for each word by itself."""

    def __init__(self, settings: Settings, rotary: RotaryEmbedding) -> None:
        width = settings.width
        self.before_attention, self.before_mlp = RMSNorm(width), RMSNorm(width)
        self.attention = MultiheadAttention(
            width, settings.heads, bias=False, batch_first=True, rotary=rotary
        )
        self.up, self.down = Linear(width, 4 * width), Linear(4 * width, width)

    def forward(self, x: Tensor, cache: AttentionCache | None, layer: int) -> Tensor:
        y = self.before_attention(x)
        options: dict[str, Any] = {"need_weights": False}
        options |= {"is_causal": True} if cache is None else {"cache": cache, "layer": layer}
        y, _ = self.attention(y, y, y, **options)
        x = x + y
        z: Tensor = self.down(F.gelu(self.up(self.before_mlp(x))))
        return x + z


class Network(Module):
    """Numbers of words to logits of the word that follows each.

    Without a cache (rows, words) to (rows, words, vocabulary): every word is computed. With a batch
    of one new (words,) to (words, vocabulary): those before them are in the cache.
    """

    def __init__(self, settings: Settings, longest: int) -> None:
        width = settings.width
        rotary = RotaryEmbedding(width // settings.heads, max_positions=longest)
        self.embedding = Embedding(len(VOCABULARY), width)
        self.blocks = ModuleList([Block(settings, rotary) for _ in range(settings.layers)])
        self.norm = RMSNorm(width)
        self.last = Linear(width, len(VOCABULARY))

    def forward(
        self, words: Tensor, cache: AttentionCache | None = None, only_last: bool = False
    ) -> Tensor:
        x = self.embedding(words)
        for layer, block in enumerate(self.blocks):
            x = block(x, cache, layer)
        if only_last:
            x = x[..., -1:, :]
        logits: Tensor = self.last(self.norm(x))
        return logits

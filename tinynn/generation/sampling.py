"""Sampling: from the scores of all tokens to one token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a token is chosen: penalties, then temperature, then what is cut away, then a draw.

    Arguments:
        temperature: what scores are divided by; 0 takes the highest one and draws nothing.
        top_k: only so many of the most probable tokens; None for all.
        top_p: the fewest most probable tokens whose probabilities reach this sum
            (https://arxiv.org/abs/1904.09751).
        min_p: tokens at least this share as probable as the most probable one
            (https://arxiv.org/abs/2407.01082).
        repetition_penalty: scores of tokens that were there, in the prompt too, are divided by it
            where positive and multiplied where negative (https://arxiv.org/abs/1909.05858).
        presence_penalty: is subtracted from the scores of tokens that were generated.

    Raises ValueError for a number out of its range.
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0

    def __post_init__(self) -> None:
        for name, fits, expected in (
            ("temperature", 0 <= self.temperature < np.inf, "a number from 0 on"),
            ("top_k", self.top_k is None or self.top_k >= 1, "None or at least 1"),
            ("top_p", 0 < self.top_p <= 1, "above 0 and at most 1"),
            ("min_p", 0 <= self.min_p <= 1, "from 0 to 1"),
            ("repetition_penalty", 0 < self.repetition_penalty < np.inf, "a number above 0"),
            ("presence_penalty", abs(self.presence_penalty) < np.inf, "a number"),
        ):
            if not fits:
                raise ValueError(f"generate: {name} must be {expected}, got {getattr(self, name)}")

    def choose(
        self, scores: Array, prompt: Sequence[int], generated: Sequence[int], draw: float
    ) -> int:
        """The next token.

        Arguments:
            scores: (vocab_size,) float32.
            prompt, generated: the tokens before it.
            draw: evenly from [0, 1).

        >>> Sampling().choose(np.array([0.5, 2.0, 1.0]), [0], [], 0.3)
        1
        """
        scores = self._penalized(scores, prompt, generated)
        if self.temperature == 0:
            return int(scores.argmax())
        scores = scores.astype(np.float64) / self.temperature
        tokens = self._kept(scores)
        sums = np.cumsum(_powers(scores[tokens]))
        place = int(np.searchsorted(sums, draw * sums[-1], side="right"))
        return int(tokens[min(place, len(tokens) - 1)])

    def _penalized(self, scores: Array, prompt: Sequence[int], generated: Sequence[int]) -> Array:
        if self.repetition_penalty == 1.0 and self.presence_penalty == 0.0:
            return scores
        scores, penalty = scores.copy(), np.float32(self.repetition_penalty)
        seen = np.unique(np.array([*prompt, *generated], np.int64))
        scores[seen] = np.where(scores[seen] > 0, scores[seen] / penalty, scores[seen] * penalty)
        scores[np.unique(np.array(generated, np.int64))] -= np.float32(self.presence_penalty)
        return scores

    def _kept(self, scores: Array) -> Array:
        """The tokens that may be drawn, the most probable first; cut by top_k, top_p and min_p in
        this order."""
        count = len(scores) if self.top_k is None else min(self.top_k, len(scores))
        tokens = np.arange(len(scores))
        if count < len(scores):
            tokens = np.argpartition(-scores, count - 1)[:count]
        # Equal scores in order of their tokens, so that a draw means the same everywhere.
        tokens = tokens[np.lexsort((tokens, -scores[tokens]))]
        shares = _powers(scores[tokens])
        if self.top_p < 1:
            before = np.cumsum(shares) - shares
            tokens = tokens[before < self.top_p * shares.sum()]
        kept: Array = tokens[shares[: len(tokens)] >= self.min_p * shares[0]]
        return kept


def uniform(seed: int, stream: int, step: int) -> float:
    """A number of [0, 1) for a step of a text; it depends on nothing else."""
    counter = np.array([step, stream, 0, 0], np.uint64)
    bits = np.random.Philox(key=seed % 2**64, counter=counter)
    return float(np.random.Generator(bits).random())


def log_probabilities(scores: Array) -> Array:
    """log softmax, float64."""
    shifted = scores.astype(np.float64) - scores.max()
    result: Array = shifted - np.log(np.exp(shifted).sum())
    return result


def _powers(scores: Array) -> Array:
    result: Array = np.exp(scores - scores.max())
    return result

"""A text while it is being generated, and the result that it becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tinynn.generation.lookup import Lookup
from tinynn.generation.sampling import Sampling, log_probabilities, uniform

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    Array = np.ndarray[Any, Any]


class Result(NamedTuple):
    """What `generate` gives for a prompt.

    Attributes:
        prompt_ids: the tokens of the prompt.
        token_ids: those that were generated; a stop token is the last of them.
        text: theirs, without what ended it; None where there is no tokenizer.
        finish_reason: "stop" for a stop token or string, "length" where the room was used up.
        logprobs: for each token the logarithm of the probability that the model gave it, before
            penalties and temperature; None where they were not asked for.
        top_logprobs: for each token {token: logprob} of the most probable ones; None likewise.
    """

    prompt_ids: list[int]
    token_ids: list[int]
    text: str | None
    finish_reason: str
    logprobs: list[float] | None = None
    top_logprobs: list[dict[int, float]] | None = None


@dataclass(frozen=True)
class Piece:
    """What `stream` gives: a token, as soon as it is known.

    Attributes:
        index: of the text, prompt by prompt, and for each its samples.
        text: what can be shown now: no part of a character, nor of what may be a stop string.
        finish_reason: None as long as there is more to come.
    """

    index: int
    token_id: int
    text: str
    finish_reason: str | None


class Ending(NamedTuple):
    """What ends a text."""

    tokens: frozenset[int]
    strings: tuple[str, ...]
    length: int


class Text:
    """The tokens of a prompt and those generated so far.

    Attributes:
        pending: tokens that the model has not seen yet.
        drafts: tokens that are proposed to come behind them.
        slot: the number of its sequence in the cache.
        siblings: further texts of the prompt, which share what is read of it.
    """

    def __init__(
        self,
        index: int,
        prompt: Sequence[int],
        sampling: Sampling,
        ending: Ending,
        seed: tuple[int, int],
        tokenizer: Any = None,
        logprobs: int | None = None,
    ) -> None:
        self.index, self.prompt, self.sampling = index, list(prompt), sampling
        self.ending, self.seed, self.logprobs = ending, seed, logprobs
        self.generated: list[int] = []
        self.pending = list(prompt)
        self.drafts: list[int] = []
        self.slot = -1
        self.siblings: list[Text] = []
        self.finish_reason: str | None = None
        self.lookup = Lookup()
        self._decoder = None if tokenizer is None else tokenizer.stream(continues=True)
        self._shown, self._held = "", ""
        self._logprobs: list[float] = []
        self._top: list[dict[int, float]] = []

    def choose(self, scores: Array) -> int:
        """The next token, by its scores."""
        draw = 0.0
        if self.sampling.temperature > 0:
            draw = uniform(*self.seed, len(self.generated))
        return self.sampling.choose(scores, self.prompt, self.generated, draw)

    def append(self, token: int, scores: Array) -> Piece:
        """Takes a token, and says what can be shown of the text now."""
        self.generated.append(token)
        if self.logprobs is not None:
            self._note(token, scores)
        if token in self.ending.tokens:
            self.finish_reason = "stop"
        elif len(self.generated) >= self.ending.length:
            self.finish_reason = "length"
        new = ""
        if self._decoder is not None:
            new = "" if token in self.ending.tokens else self._decoder.push(token)
            if self.finish_reason is not None:
                new += self._decoder.finish()
        return Piece(self.index, token, self._certain(new), self.finish_reason)

    def result(self) -> Result:
        """All of it."""
        wanted = self.logprobs is not None
        return Result(
            self.prompt,
            self.generated,
            None if self._decoder is None else self._shown,
            self.finish_reason or "length",
            self._logprobs if wanted else None,
            self._top if wanted else None,
        )

    def _certain(self, new: str) -> str:
        """What of the text can be shown, with `new` at its end."""
        held = self._held + new
        places = [held.find(stop) for stop in self.ending.strings]
        found = min((place for place in places if place >= 0), default=None)
        if found is not None:
            self.finish_reason = "stop"
            held = held[:found]
        keep = 0 if self.finish_reason is not None else _beginnings(held, self.ending.strings)
        text, self._held = held[: len(held) - keep], held[len(held) - keep :]
        self._shown += text
        return text

    def _note(self, token: int, scores: Array) -> None:
        values = log_probabilities(scores)
        self._logprobs.append(float(values[token]))
        best = values.argsort()[::-1][: self.logprobs]
        self._top.append({int(place): float(values[place]) for place in best})


def _beginnings(text: str, stops: Sequence[str]) -> int:
    """How many characters at the end of a text may be the beginning of a stop string."""
    return max(
        (
            size
            for stop in stops
            for size in range(1, min(len(stop), len(text) + 1))
            if text.endswith(stop[:size])
        ),
        default=0,
    )

"""Conversation: messages back and forth, of which each is read once."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

from tinynn.generation.loop import advance
from tinynn.generation.requests import options_of, requests_of
from tinynn.generation.room import cache_for
from tinynn.generation.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinynn.generation.sequence import Piece


class Conversation:
    """Messages to a model and its replies; what was said stays in the cache from turn to turn.

    What is in a message is text: `<|im_end|>` in it ends no turn (see `Tokenizer.encode_chat`).

    Arguments:
        model: as `generation.load` gives it, with a chat template.
        system: a message that comes before all others; None for the template's own.
        max_new_tokens: the most tokens of a reply.
        options: as those of `generate`, but for n, batch_size and use_cache.

    Attributes:
        messages: [{"role": "system", "user" or "assistant", "content": text}, ...].
        reused, read: how many tokens of the last prompt were in the cache, and how many were not.

    Raises ValueError for a model without a tokenizer or a chat template, and what `generate` raises
    for options.
    """

    def __init__(
        self, model: Any, system: str | None = None, max_new_tokens: int = 512, **options: Any
    ) -> None:
        if getattr(model, "tokenizer", None) is None:
            raise ValueError("Conversation: the model has no tokenizer")
        if model.tokenizer.chat_template is None:
            raise ValueError(
                "Conversation: the model has no chat template, it may know no conversations; let "
                "it write on from a text instead (tinynn generate)"
            )
        options_of(options)
        self.model, self.system = model, system
        self.max_new_tokens, self.options = max_new_tokens, options
        self._cache: Any = None
        self.reset()

    def reset(self) -> None:
        """Forgets what was said."""
        system = [] if self.system is None else [{"role": "system", "content": self.system}]
        self.messages: list[dict[str, str]] = system
        self._known: list[int] = []
        self.reused = self.read = 0
        if self._cache is not None:
            self._cache.truncate(self._slot, 0)

    def send(self, content: str) -> Iterator[Piece]:
        """Says something, and gives the reply piece by piece; it is in `messages` as far as it was
        taken.

        Raises ValueError where the conversation has no room left in the model's context; it is then
        as it was.
        """
        messages = [*self.messages, {"role": "user", "content": content}]
        prompt = self.model.tokenizer.encode_chat(messages)
        context = self.model.config.max_positions
        if len(prompt) >= context:
            raise ValueError(
                f"Conversation: {len(prompt)} tokens do not fit into the model's context of "
                f"{context}; begin a new conversation, or say less"
            )
        requests, settings, _ = requests_of(self.model, prompt, self.max_new_tokens, **self.options)
        ((text,),) = requests
        if self._cache is None:  # of the whole context; it takes memory as it fills
            self._cache = cache_for(self.model, [context], settings)
            self._steps, self._slot = Steps(self.model, self._cache), self._cache.start()
        # At least the last token goes through the model, for it is what the reply begins with.
        same = takewhile(
            lambda pair: pair[0] == pair[1], zip(prompt[:-1], self._known, strict=False)
        )
        self.reused = sum(1 for _ in same)
        self.read = len(prompt) - self.reused
        self._cache.truncate(self._slot, self.reused)
        text.slot, text.pending = self._slot, prompt[self.reused :]
        self.messages = messages
        reply, pieces = "", [text]
        try:
            while text.finish_reason is None:
                for piece in advance(self._steps, pieces, settings):
                    reply += piece.text
                    yield piece
        finally:
            held = self._cache.length(self._slot)
            self._known = (prompt + text.generated)[:held]
            self.messages = [*messages, {"role": "assistant", "content": reply}]

"""What a tokenizer is made of, whichever file it was read from."""

from __future__ import annotations

from typing import Any, NamedTuple


class TokenizerParts(NamedTuple):
    """What the readers of files give, and `Tokenizer` keeps.

    Attributes:
        engine: a `tokenizers.Tokenizer`, which puts around a text what the model wants.
        pieces: the bytes that each id stands for; None for an id without a token.
        special: ids of control tokens, which are no text.
        leading_space: whether encoding puts a space before a text, which decoding takes away.
        bos_id, eos_ids, pad_id: None and () for those that the model lacks.
        chat_template: Jinja, or None.
        source: the file or folder, for errors.
        alphabet: the characters that have a token, where there is no way to write others; None
            where there is.
    """

    engine: Any
    pieces: list[bytes | None]
    special: frozenset[int]
    leading_space: bool
    bos_id: int | None
    eos_ids: tuple[int, ...]
    pad_id: int | None
    chat_template: str | None
    source: str
    alphabet: frozenset[str] | None = None


def surrounding(
    tokenizers: Any, prefix: list[tuple[str, int]], suffix: list[tuple[str, int]]
) -> Any:
    """A post-processor that puts tokens, given as (text, id), before and after every text."""
    # A text may hold the signs of the template's little language, so tokens go by numbers there.
    tokens = [*prefix, *suffix]
    names = [f"<{place}>" for place in range(len(tokens))]
    template = [*names[: len(prefix)], "$A", *names[len(prefix) :]]
    entries = [
        {"id": name, "ids": [id], "tokens": [text]}
        for name, (text, id) in zip(names, tokens, strict=True)
    ]
    return tokenizers.processors.TemplateProcessing(single=template, special_tokens=entries)

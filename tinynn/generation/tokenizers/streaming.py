"""Text as it comes, token by token."""

from __future__ import annotations

import codecs
from typing import Protocol


class TokenBytes(Protocol):
    """What is asked of a tokenizer."""

    leading_space: bool

    def token_bytes(self, id: int) -> bytes: ...

    def is_special(self, id: int) -> bool: ...


class StreamDecoder:
    """Decodes tokens one by one, and gives each character as soon as all its bytes are there.

    All that `push` and `finish` give, joined, is what `tokenizer.decode` gives for all ids at once.
    A token costs the same, however long the text is already.

    Arguments:
        tokenizer: whose tokens they are.
        skip_special: leaves control tokens out.
        continues: whether a text goes on. Else the space that a SentencePiece model has before a
            text's first word is left out, as `decode` does.

    >>> from tinynn.generation import Tokenizer
    >>> tokenizer = Tokenizer.from_gguf(
    ...     {
    ...         "tokenizer.ggml.model": "gpt2",
    ...         "tokenizer.ggml.tokens": ["H", "i", "Ġ", "â", "Ĥ", "¬"],
    ...         "tokenizer.ggml.merges": [],
    ...     }
    ... )
    >>> stream = tokenizer.stream()
    >>> [stream.push(id) for id in tokenizer.encode("Hi €")], stream.finish()
    (['H', 'i', ' ', '', '', '€'], '')
    """

    def __init__(
        self, tokenizer: TokenBytes, skip_special: bool = True, continues: bool = False
    ) -> None:
        self._tokenizer, self._skip_special = tokenizer, skip_special
        self._drops_space = self._at_start = tokenizer.leading_space and not continues
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, id: int) -> str:
        """The text that is certain now that this token has come; often one word, and empty within
        a character. Bytes that can no longer become a character are U+FFFD.

        TypeError and ValueError for what is not a token id of the tokenizer.
        """
        piece = self._tokenizer.token_bytes(id)
        if self._skip_special and self._tokenizer.is_special(id):
            return ""
        return self._after_start(self._utf8.decode(piece))

    def finish(self) -> str:
        """The rest: U+FFFD for a character that was never completed, else empty.

        The decoder is then as new, for another text.
        """
        rest = self._after_start(self._utf8.decode(b"", True))
        self._utf8.reset()
        self._at_start = self._drops_space
        return rest

    def _after_start(self, text: str) -> str:
        if self._at_start and text:
            self._at_start = False
            return text.removeprefix(" ")
        return text

"""Tokenizer: texts as the numbers that a language model reads and writes."""

from __future__ import annotations

import operator
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tinynn.generation.chat_templates.control_texts import ControlTexts, engine_behind
from tinynn.generation.chat_templates.rendering import ChatTemplateError, render
from tinynn.generation.tokenizers.folder_vocabulary import parts_from_folder
from tinynn.generation.tokenizers.gguf_vocabulary import parts_from_gguf
from tinynn.generation.tokenizers.streaming import StreamDecoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tinynn.generation.tokenizers.parts import TokenizerParts
    from tinynn.io.atomic import StrPath


class Tokenizer:
    """Turns text into token ids and back.

    `from_folder` and `from_gguf` read one. Decoding is exact: the bytes of the tokens, joined, as
    UTF-8. So a text comes back as it was, except for what its model does not keep: characters that
    the vocabulary has no bytes for are dropped or unknown (SmolLM2 has none for some control
    characters), and some models compose characters first (NFC). A vocabulary of characters alone,
    such as `tinynn train gpt` makes, refuses those that it lacks.

    Attributes:
        vocab_size: the largest id + 1; a model may have room for more.
        bos_id: the token that begins a text, or None.
        eos_ids: the tokens that end a text; the first is the main one.
        pad_id: the token that fills up a batch, or None.
        chat_template: Jinja, or None.
        leading_space: whether encoding puts a space before a text, which decoding takes away.

    >>> tokenizer = Tokenizer.from_gguf(
    ...     {
    ...         "tokenizer.ggml.model": "gpt2",
    ...         "tokenizer.ggml.pre": "smollm",
    ...         "tokenizer.ggml.tokens": ["<end>", "l", "o", "w", "Ġ", "lo", "low", "Ġlow"],
    ...         "tokenizer.ggml.merges": ["l o", "lo w", "Ġ low"],
    ...         "tokenizer.ggml.token_type": [3, 1, 1, 1, 1, 1, 1, 1],
    ...         "tokenizer.ggml.eos_token_id": 0,
    ...     }
    ... )
    >>> tokenizer.encode("low low<end>")
    [6, 7, 0]
    >>> tokenizer.decode([6, 7, 0]), tokenizer.decode([6, 7, 0], skip_special=True)
    ('low low<end>', 'low low')
    """

    def __init__(self, parts: TokenizerParts) -> None:
        self._engine, self._pieces, self._special = parts.engine, parts.pieces, parts.special
        self._source, self._alphabet = parts.source, parts.alphabet
        self._behind: tuple[dict[str, str], Any] = {}, None
        self.leading_space = parts.leading_space
        self.bos_id, self.eos_ids, self.pad_id = parts.bos_id, parts.eos_ids, parts.pad_id
        self.chat_template = parts.chat_template
        self.vocab_size = len(parts.pieces)

    @classmethod
    def from_folder(cls, path: StrPath) -> Tokenizer:
        """Reads the tokenizer of a Hugging Face folder.

        Raises:
            FileNotFoundError: there is no tokenizer.json.
            ValueError: a file is damaged, or tokens are joined in a way that is not supported:
                byte-level BPE and SentencePiece's are.
            ImportError: the package `tokenizers` is not installed.
        """
        return cls(parts_from_folder(path))

    @classmethod
    def from_gguf(cls, metadata: Mapping[str, Any]) -> Tokenizer:
        """Builds the tokenizer of a GGUF file.

        Arguments:
            metadata: values by key, as the file has them: `tokenizer.ggml.model` (gpt2 or llama),
                `.tokens`, `.token_type` and so on; lists may be NumPy arrays.

        Raises:
            ValueError: a key is missing or wrong, or a model or way of cutting texts
                (`tokenizer.ggml.pre`) that is not known; the message names those that are.
            ImportError: the package `tokenizers` is not installed.
        """
        return cls(parts_from_gguf(metadata))

    def encode(
        self, text: str, add_special: bool | None = None, parse_special: bool = True
    ) -> list[int]:
        """The ids of a text.

        Arguments:
            text: any text without lone surrogates.
            add_special: whether BOS is put before the text: None as the model's files say, True
                where the model has one, False never. What `chat` gives has its special tokens
                already: encode it with False.
            parse_special: whether the text of a control token, such as `<|im_end|>`, becomes that
                token; False reads it as text like any other.

        Raises:
            TypeError: not a str.
            ValueError: a lone surrogate, which is no character; characters that a vocabulary of
                characters lacks.
        """
        if not isinstance(text, str):
            raise TypeError(f"Tokenizer.encode: text must be a str, got {type(text).__name__}")
        engine = self._engine if parse_special else self._engine_for_plain_text
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"Tokenizer.encode: text has a lone surrogate, {text[error.start]!r}, at "
                f"{error.start}, which is no character"
            ) from None
        self._refuse_lost(text, engine)
        ids: list[int] = engine.encode(text, add_special_tokens=add_special is not False).ids
        if add_special and self.bos_id is not None and ids[:1] != [self.bos_id]:
            return [self.bos_id, *ids]
        return ids

    def decode(self, ids: Iterable[int], skip_special: bool = False) -> str:
        """The text of ids. What is no UTF-8, such as half a character, is U+FFFD.

        Arguments:
            ids: of this vocabulary.
            skip_special: leaves control tokens out.

        Raises:
            TypeError: something that is not an int.
            ValueError: an id that is not in the vocabulary.
        """
        if isinstance(ids, (str, bytes)) or not hasattr(ids, "__iter__"):
            raise TypeError(f"Tokenizer.decode: ids must be ints, got {type(ids).__name__}")
        known = [self._known(id, "decode") for id in ids]
        if skip_special:
            known = [id for id in known if id not in self._special]
        text = b"".join([self._pieces[id] or b"" for id in known]).decode("utf-8", "replace")
        return text.removeprefix(" ") if self.leading_space else text

    def token_text(self, id: int) -> str:
        """The text of one token, its space included; U+FFFD for parts of characters."""
        return self.token_bytes(id).decode("utf-8", "replace")

    def token_bytes(self, id: int) -> bytes:
        """The bytes of one token, which may be a part of a character."""
        return self._pieces[self._known(id, "token_bytes")] or b""

    def is_special(self, id: int) -> bool:
        """Whether an id is a control token, which is no text."""
        return id in self._special

    def stream(self, skip_special: bool = True, continues: bool = False) -> StreamDecoder:
        """A decoder for tokens that come one by one; see `StreamDecoder`."""
        return StreamDecoder(self, skip_special, continues)

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        add_generation_prompt: bool = True,
        **variables: Any,
    ) -> str:
        """The text of a conversation, as the model was trained to read it.

        `encode_chat` gives its ids. In the text nobody can tell the template's control tokens from
        those whose text is in a message, which could so end its turn and begin another one.

        Arguments:
            messages: each with a role ("system", "user", "assistant") and content.
            add_generation_prompt: whether the model is to answer next.
            variables: what else the template looks at, such as `tools`.

        Raises:
            ValueError: the model has no chat template, or messages that are not right, or
                (`ChatTemplateError`) a template that refuses them or that is refused.
            ImportError: the package `jinja2` is not installed.
        """
        if self.chat_template is None:
            raise ValueError(
                f"Tokenizer.chat: {self._source} has no chat template, the model may know no "
                "conversations; give it a text to go on with, or set tokenizer.chat_template"
            )
        bos, eos = (
            "" if id is None else self.token_text(id)
            for id in (self.bos_id, self.eos_ids[0] if self.eos_ids else None)
        )
        return render(self.chat_template, messages, add_generation_prompt, bos, eos, **variables)

    def encode_chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        add_generation_prompt: bool = True,
        **variables: Any,
    ) -> list[int]:
        """The ids of a conversation; only the template's own text becomes control tokens.

        What messages and variables say is text, also where it is that of a control token, such as
        `<|im_end|>`.

        Arguments and what is raised: as for `chat`, and `ChatTemplateError` for a template that
        changes the text of a control token in a message.
        """
        text = self.chat(messages, add_generation_prompt, **variables)
        ids = self.encode(text, add_special=False)
        others = f"{text}{self.chat_template}"
        hidden = self._control_texts.disguise([messages, variables], others)
        if not hidden.signs:
            return ids
        messages, variables = hidden.value
        covered = self.chat(messages, add_generation_prompt, **variables)
        if hidden.uncovered(covered) != text:
            if not hidden.has_control:
                return ids
            raise ChatTemplateError(
                "Tokenizer.encode_chat: a message has the text of a control token, which the chat "
                "template does not leave as it is; say it in other words"
            )
        if self._behind[0] != hidden.signs:
            self._behind = hidden.signs, engine_behind(self._engine, hidden.signs)
        apart: list[int] = self._behind[1].encode(covered, add_special_tokens=False).ids
        controls = [sum(map(self.is_special, found)) for found in (ids, apart)]
        return ids if controls[0] == controls[1] else apart

    @cached_property
    def _control_texts(self) -> ControlTexts:
        return ControlTexts(map(self.token_text, self._special))

    def to_json(self) -> str:
        """The content of tokenizer.json: vocabulary, merges, and how texts are cut and joined."""
        text: str = self._engine.to_str(pretty=True)
        return text

    @cached_property
    def _engine_for_plain_text(self) -> Any:
        # Another engine, because a switch on the first one would turn it for other threads too.
        plain = type(self._engine).from_str(self._engine.to_str())
        plain.encode_special_tokens = True
        return plain

    def _refuse_lost(self, text: str, engine: Any) -> None:
        """Raises ValueError for characters that the vocabulary cannot write."""
        if self._alphabet is None or self._alphabet.issuperset(text):
            return
        # Control tokens may be of other characters: what matters is what is left of the text.
        written = self.decode(engine.encode(text, add_special_tokens=False).ids)
        lost = sorted(Counter(text) - Counter(written))
        if lost:
            more = f" and {len(lost) - 10} more" if len(lost) > 10 else ""
            raise ValueError(
                f"Tokenizer.encode: the vocabulary of {self._source} has no token for "
                f"{', '.join(map(repr, lost[:10]))}{more}; write with its {len(self._alphabet)} "
                "characters, or train a model that can write all (tinynn train gpt --tokenizer bpe)"
            )

    def _known(self, id: int, operation: str) -> int:
        try:
            index = operator.index(id)
        except TypeError:
            raise TypeError(
                f"Tokenizer.{operation}: a token id is an int, got {type(id).__name__} {id!r:.40}"
            ) from None
        if not 0 <= index < self.vocab_size or self._pieces[index] is None:
            raise ValueError(
                f"Tokenizer.{operation}: there is no token {index}; ids are 0 to "
                f"{self.vocab_size - 1}"
            )
        return index

    def __repr__(self) -> str:
        return (
            f"Tokenizer({self.vocab_size} tokens, bos_id={self.bos_id}, eos_ids={self.eos_ids}, "
            f"pad_id={self.pad_id})"
        )

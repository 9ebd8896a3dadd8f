"""The vocabulary of a text to train on: its characters, or pieces of bytes that often occur."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tinynn.generation.extras import needed
from tinynn.generation.tokenizers.token_bytes import from_letters

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Array = np.ndarray[Any, Any]

__all__ = [
    "TOKENIZERS",
    "BytePairs",
    "Characters",
    "Vocabulary",
    "read_vocabulary",
    "vocabulary_of",
]

# How much of a text is encoded at a time.
PART = 1 << 16
# Every byte has a token of its own, so that any text can be written.
LEAST_PAIRS = 256


class Vocabulary(Protocol):
    """What turns a text into ids, and ids into a text."""

    @property
    def size(self) -> int:
        """How many tokens there are."""

    def encode(self, text: str) -> Iterator[Array]:
        """The ids of a text, integers of 1 dimension, part by part."""

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids."""

    def to_json(self) -> str:
        """The content of tokenizer.json, as `generation.Tokenizer` and transformers read it."""


class Characters:
    """A token for each character that there is.

    Arguments:
        characters: in the order of their ids; each once.

    >>> characters = Characters("abdu")
    >>> [ids.tolist() for ids in characters.encode("dubdub")]
    [[2, 3, 1, 2, 3, 1]]
    >>> characters.decode([1, 0, 2])
    'bad'
    """

    def __init__(self, characters: str) -> None:
        self.characters = characters
        codes = _codes(characters)
        self._order = np.argsort(codes)
        self._sorted = codes[self._order]

    @classmethod
    def of(cls, text: str) -> Characters:
        """The characters of a text."""
        return cls("".join(sorted(set(text))))

    @property
    def size(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> Iterator[Array]:
        """Ids part by part; raises ValueError for a character that is not in the vocabulary."""
        for part in _parts(text):
            codes = _codes(part)
            places = np.searchsorted(self._sorted, codes).clip(max=self.size - 1)
            strange = self._sorted[places] != codes
            if strange.any():
                found = chr(codes[strange.argmax()])
                raise ValueError(f"Characters: {found!r} is not one of the {self.size} characters")
            yield self._order[places]

    def decode(self, ids: Iterable[int]) -> str:
        return "".join(self.characters[id] for id in ids)

    def to_json(self) -> str:
        # Byte pair encoding without a pair: what is left is the characters.
        vocab = {character: id for id, character in enumerate(self.characters)}
        model = {"type": "BPE", "vocab": vocab, "merges": []}
        document = {"version": "1.0", "added_tokens": [], "decoder": {"type": "Fuse"}}
        return json.dumps({**document, "model": model}, ensure_ascii=False, indent=1) + "\n"


class BytePairs:
    """Byte-level byte pair encoding, as GPT-2 has it, by the package `tokenizers`.

    Arguments:
        content: of a tokenizer.json.

    Raises ImportError without the package.
    """

    def __init__(self, content: str) -> None:
        self._engine = needed("tokenizers", "BytePairs").Tokenizer.from_str(content)

    @classmethod
    def of(cls, text: str, size: int) -> BytePairs:
        """The pieces that make a text short, at most `size`; fewer where none occurs twice.

        Raises ValueError for fewer than the 256 bytes, ImportError without the package.
        """
        if size < LEAST_PAIRS:
            raise ValueError(
                f"BytePairs: size is {size}, expected at least {LEAST_PAIRS}, one for each byte"
            )
        tokenizers = needed("tokenizers", "BytePairs")
        engine = tokenizers.Tokenizer(tokenizers.models.BPE())
        level = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        engine.pre_tokenizer = level
        engine.decoder = tokenizers.decoders.ByteLevel()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=size, initial_alphabet=sorted(level.alphabet()), show_progress=False
        )
        engine.train_from_iterator(_parts(text), trainer)
        return cls(engine.to_str())

    @property
    def size(self) -> int:
        size: int = self._engine.get_vocab_size()
        return size

    def encode(self, text: str) -> Iterator[Array]:
        for part in _parts(text):
            yield np.array(self._engine.encode(part).ids, np.int64)

    def decode(self, ids: Iterable[int]) -> str:
        pieces = (from_letters(self._engine.id_to_token(id)) for id in ids)
        return b"".join(pieces).decode("utf-8", "replace")

    def to_json(self) -> str:
        text: str = self._engine.to_str(pretty=True)
        return text + "\n"


TOKENIZERS = ("char", "bpe")


def vocabulary_of(text: str, tokenizer: str, size: int) -> Vocabulary:
    """The vocabulary for a text: "char", or "bpe" of at most `size` tokens."""
    return Characters.of(text) if tokenizer == "char" else BytePairs.of(text, size)


def read_vocabulary(content: str) -> Vocabulary:
    """The vocabulary that `to_json` gave.

    Raises ValueError for anything else, ImportError where byte pairs lack their package.

    >>> read_vocabulary(Characters("abc").to_json()).size
    3
    """
    try:
        document = json.loads(content)
        vocab, merges = document["model"]["vocab"], document["model"]["merges"]
        if document["decoder"]["type"] == "ByteLevel":
            return BytePairs(content)
        if merges or sorted(vocab.values()) != list(range(len(vocab))):
            raise ValueError("it is no vocabulary of characters")
        return Characters("".join(sorted(vocab, key=vocab.__getitem__)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"tokenizer.json is damaged: {reason}") from None


def _codes(text: str) -> Array:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)


def _parts(text: str) -> Iterator[str]:
    """A text in parts that end with a line, where lines are not very long."""
    start = 0
    while start < len(text):
        stop = text.rfind("\n", start, start + PART) + 1
        if stop == 0 or start + PART >= len(text):
            stop = start + PART
        yield text[start:stop]
        start = stop

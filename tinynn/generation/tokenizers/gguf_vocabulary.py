"""A tokenizer from the metadata of a GGUF file.

Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. A file has one of two sorts of
vocabulary: byte-level BPE with its merges ("gpt2"), or SentencePiece's with a score for each token
("llama"), where the pair whose union scores highest is merged first.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from tinynn.generation.extras import needed
from tinynn.generation.tokenizers.parts import TokenizerParts, surrounding
from tinynn.generation.tokenizers.pre_tokenizers import as_engine, pre_tokenizer
from tinynn.generation.tokenizers.token_bytes import SPACE_MARK, from_letters, from_marks

if TYPE_CHECKING:
    from collections.abc import Mapping

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
_KEY = "tokenizer.ggml."
_MAX_LENGTH = 256  # of a merged token: finding its halves takes time that grows with the square
_END_KEYS = ("eos_token_id", "eot_token_id", "eom_token_id")


def parts_from_gguf(metadata: Mapping[str, Any]) -> TokenizerParts:
    """What `Tokenizer.from_gguf` keeps of a file's metadata; it says what is raised."""
    tokenizers = needed("tokenizers", "Tokenizer.from_gguf")
    fields = _Fields(metadata)
    model = fields.text("model")
    if model not in ("gpt2", "llama"):
        raise ValueError(
            f"Tokenizer.from_gguf: {_KEY}model is {model!r:.80}, expected gpt2 (byte-level BPE) or "
            "llama (SentencePiece)"
        )
    build = _byte_level if model == "gpt2" else _sentence_pieces
    try:
        engine, bos = build(fields, tokenizers)
    except ValueError:
        raise
    except Exception as error:  # the engine has no narrower type
        raise ValueError(f"Tokenizer.from_gguf: the vocabulary is damaged: {error}") from None

    kinds = fields.kinds
    added = [
        tokenizers.AddedToken(token, special=kind != USER_DEFINED, normalized=False)
        for token, kind in zip(fields.tokens, kinds, strict=True)
        if kind in (CONTROL, USER_DEFINED) or (kind == UNKNOWN and model == "llama")
    ]
    engine.add_tokens(added)
    bos_id = fields.id("bos_token_id")
    ends = [id for id in map(fields.id, _END_KEYS) if id is not None]
    prefix = [bos_id] if fields.flag("add_bos_token", bos) and bos_id is not None else []
    suffix = ends[:1] if fields.flag("add_eos_token", False) else []
    engine.post_processor = surrounding(
        tokenizers, *([(fields.tokens[id], id) for id in ids] for ids in (prefix, suffix))
    )
    template = metadata.get("tokenizer.chat_template")
    return TokenizerParts(
        engine=engine,
        pieces=_pieces(fields, from_letters if model == "gpt2" else from_marks),
        special=frozenset(i for i, kind in enumerate(kinds) if kind in (CONTROL, UNKNOWN)),
        leading_space=model == "llama" and fields.flag("add_space_prefix", True),
        bos_id=bos_id,
        eos_ids=tuple(dict.fromkeys(ends)),
        pad_id=fields.id("padding_token_id"),
        chat_template=template if isinstance(template, str) else None,
        source="the GGUF file",
    )


def _byte_level(fields: _Fields, tokenizers: Any) -> tuple[Any, bool]:
    """(engine, whether BOS is usual) of byte-level BPE."""
    way = pre_tokenizer(fields.text("pre", "default"))
    merges = []
    for merge in fields.texts("merges"):
        left, _, right = merge.partition(" ")
        if not left or not right:
            raise ValueError(
                f"Tokenizer.from_gguf: {_KEY}merges has {merge!r:.80}, expected two tokens with a "
                "space between them"
            )
        merges.append((left, right))
    model = tokenizers.models.BPE(fields.ids, merges, ignore_merges=way.whole_words)
    engine = tokenizers.Tokenizer(model)
    engine.pre_tokenizer = as_engine(way, tokenizers)
    engine.decoder = tokenizers.decoders.ByteLevel()
    if way.nfc:
        engine.normalizer = tokenizers.normalizers.NFC()
    return engine, way.bos


def _sentence_pieces(fields: _Fields, tokenizers: Any) -> tuple[Any, bool]:
    """(engine, whether BOS is usual) of SentencePiece's BPE, over the whole text at once."""
    unknown = fields.id("unknown_token_id")
    model = tokenizers.models.BPE(
        fields.ids,
        _merges_by_score(fields),
        unk_token=None if unknown is None else fields.tokens[unknown],
        fuse_unk=True,
        byte_fallback=True,
    )
    engine = tokenizers.Tokenizer(model)
    normalizers = tokenizers.normalizers
    marked = [normalizers.Replace(" ", SPACE_MARK)]
    if fields.flag("add_space_prefix", True):
        marked.insert(0, normalizers.Prepend(SPACE_MARK))
    engine.normalizer = normalizers.Sequence(marked)
    decoders = tokenizers.decoders
    joined = [decoders.Replace(SPACE_MARK, " "), decoders.ByteFallback(), decoders.Fuse()]
    if len(marked) > 1:
        joined.append(decoders.Strip(" ", 1, 0))
    engine.decoder = decoders.Sequence(joined)
    return engine, True


def _merges_by_score(fields: _Fields) -> list[tuple[str, str]]:
    """Every pair of tokens whose union is a token, in the order in which they are merged."""
    scores = fields.numbers("scores")
    merges = []
    for id, (token, kind) in enumerate(zip(fields.tokens, fields.kinds, strict=True)):
        if kind != NORMAL or fields.ids[token] != id:
            continue
        if len(token) > _MAX_LENGTH:
            raise ValueError(
                f"Tokenizer.from_gguf: token {id} has {len(token)} characters, at most "
                f"{_MAX_LENGTH} are merged"
            )
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in fields.ids and right in fields.ids:
                merges.append((-scores[id], id, -cut, left, right))
    return [(left, right) for *_, left, right in sorted(merges)]


def _pieces(fields: _Fields, spelled: Any) -> list[bytes | None]:
    # Control and user-defined tokens are written as they are, and not spelled.
    verbatim = (CONTROL, USER_DEFINED, UNKNOWN)
    return [
        token.encode() if kind in verbatim else spelled(token)
        for token, kind in zip(fields.tokens, fields.kinds, strict=True)
    ]


class _Fields:
    """The metadata, each field checked when it is asked for."""

    def __init__(self, metadata: Mapping[str, Any]) -> None:
        self._metadata = metadata
        self.tokens = self.texts("tokens")
        self.ids = {token: id for id, token in enumerate(self.tokens)}
        self.kinds = (
            [int(kind) for kind in self.numbers("token_type")]
            if f"{_KEY}token_type" in metadata
            else [NORMAL] * len(self.tokens)
        )

    def text(self, name: str, default: str | None = None) -> str:
        value = self._metadata.get(_KEY + name, default)
        if not isinstance(value, str):
            raise self._wrong(name, "a str", value)
        return value

    def texts(self, name: str) -> list[str]:
        values = self._metadata.get(_KEY + name)
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise self._wrong(name, "a list of str", values)
        return values

    def numbers(self, name: str) -> list[float]:
        """A number for each token: a list or a NumPy array."""
        values = self._metadata.get(_KEY + name)
        try:
            numbers = [float(value) for value in values]  # type: ignore[union-attr]
        except (TypeError, ValueError):
            raise self._wrong(name, "a list of numbers", values) from None
        if len(numbers) != len(self.tokens):
            raise ValueError(
                f"Tokenizer.from_gguf: {_KEY}{name} has {len(numbers)} numbers for "
                f"{len(self.tokens)} tokens"
            )
        return numbers

    def flag(self, name: str, default: bool) -> bool:
        return bool(self._metadata.get(_KEY + name, default))

    def id(self, name: str) -> int | None:
        value = self._metadata.get(_KEY + name)
        if value is None:
            return None
        try:
            index = operator.index(value)
        except TypeError:
            raise self._wrong(name, "a token id", value) from None
        if not 0 <= index < len(self.tokens):
            raise ValueError(
                f"Tokenizer.from_gguf: {_KEY}{name} is {index}, but there are "
                f"{len(self.tokens)} tokens"
            )
        return index

    def _wrong(self, name: str, expected: str, value: Any) -> ValueError:
        came = "is missing" if value is None else f"is {type(value).__name__} {value!r:.60}"
        return ValueError(f"Tokenizer.from_gguf: {_KEY}{name} {came}, expected {expected}")

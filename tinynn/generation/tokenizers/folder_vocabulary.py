"""A tokenizer from a Hugging Face folder.

    tokenizer.json | tokenizer_config.json | special_tokens_map.json | chat_template.jinja
    generation_config.json | config.json

Only the first must be there: it has the vocabulary, and how texts are cut and joined. The others
say which tokens begin and end a text, and hold the chat template.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinynn.generation.extras import needed
from tinynn.generation.tokenizers.parts import TokenizerParts
from tinynn.generation.tokenizers.token_bytes import from_letters, from_marks
from tinynn.io.json_object import parse_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinynn.io.atomic import StrPath

    Json = dict[str, Any]

_WHO = "Tokenizer.from_folder"
_ROLES = ("bos_token", "eos_token", "pad_token", "unk_token")


def parts_from_folder(path: StrPath) -> TokenizerParts:
    """What `Tokenizer.from_folder` keeps of a folder; it says what is raised."""
    tokenizers = needed("tokenizers", _WHO)
    folder = Path(path)
    engine = _read_engine(folder, tokenizers)
    spelled, leading_space = _spelling(engine, folder)
    settings = {
        **_read_json(folder, "special_tokens_map.json"),
        **_read_json(folder, "tokenizer_config.json"),
    }
    _add_tokens(engine, settings, tokenizers)

    vocabulary: dict[str, int] = engine.get_vocab(with_added_tokens=True)
    added = engine.get_added_tokens_decoder()
    pieces: list[bytes | None] = [None] * (1 + max(vocabulary.values(), default=-1))
    for token, id in vocabulary.items():
        pieces[id] = token.encode() if id in added else spelled(token)

    models = [_read_json(folder, name) for name in ("generation_config.json", "config.json")]

    def ids(role: str) -> list[int]:
        named = vocabulary.get(_token_text(settings.get(role)) or "")
        by_model = (_ids(config.get(f"{role}_id"), pieces) for config in models)
        given = next((found for found in by_model if found), [])
        return list(dict.fromkeys([*([] if named is None else [named]), *given]))

    return TokenizerParts(
        engine=engine,
        pieces=pieces,
        special=frozenset(id for id, token in added.items() if token.special),
        leading_space=leading_space,
        bos_id=next(iter(ids("bos_token")), None),
        eos_ids=tuple(ids("eos_token")),
        pad_id=next(iter(ids("pad_token")), None),
        chat_template=_chat_template(folder, settings),
        source=str(folder),
        alphabet=_alphabet(engine),
    )


def _read_engine(folder: Path, tokenizers: Any) -> Any:
    path = folder / "tokenizer.json"
    if folder.is_dir() and not path.is_file():
        raise FileNotFoundError(
            f"{_WHO}: {folder} has no tokenizer.json; transformers makes one of other files: "
            "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
        )
    try:
        engine = tokenizers.Tokenizer.from_str(path.read_text("utf-8"))
    except OSError:
        raise
    except Exception as error:  # the engine has no narrower type
        raise ValueError(f"{_WHO}: {path}: {error}") from None
    engine.no_truncation()
    engine.no_padding()
    return engine


def _read_json(folder: Path, name: str) -> Json:
    """The content of a file; empty where there is none."""
    path = folder / name
    return (
        parse_object(path.read_bytes(), f"{_WHO}: {path}", unique=False) if path.is_file() else {}
    )


def _token_text(entry: Any) -> str | None:
    """The text of a token that the settings name; some files write it with its properties."""
    text = entry.get("content") if isinstance(entry, dict) else entry
    return text if isinstance(text, str) else None


def _ids(entry: Any, pieces: list[bytes | None]) -> list[int]:
    """The ids that a setting names, one or a list; ids without a token belong to another model."""
    named = entry if isinstance(entry, list) else [entry]
    return [id for id in named if isinstance(id, int) and 0 <= id < len(pieces) and pieces[id]]


def _add_tokens(engine: Any, settings: Json, tokenizers: Any) -> None:
    """Adds what the settings have beyond tokenizer.json: tokens, and which ones are special."""
    listed = settings.get("added_tokens_decoder")
    entries = listed.items() if isinstance(listed, dict) else ()
    for id, entry in sorted(entries, key=lambda item: int(item[0])):
        text = _token_text(entry)
        if text and engine.token_to_id(text) is None:
            engine.add_tokens([tokenizers.AddedToken(**entry)])
            if engine.token_to_id(text) != int(id):
                raise ValueError(
                    f"{_WHO}: tokenizer_config.json adds {text!r} as token {id}, but it would be "
                    f"{engine.token_to_id(text)} after those of tokenizer.json"
                )
    texts = [_token_text(settings.get(role)) for role in _ROLES]
    known = engine.get_added_tokens_decoder()
    for text in texts:
        id = None if text is None else engine.token_to_id(text)
        if id is not None and not (id in known and known[id].special):
            engine.add_special_tokens([tokenizers.AddedToken(text, special=True, normalized=False)])


def _spelling(engine: Any, folder: Path) -> tuple[Callable[[str], bytes], bool]:
    """(how tokens are spelled, whether a text's first space is taken away), by the decoder."""
    state = {} if engine.decoder is None else json.loads(engine.decoder.__getstate__())
    steps = state["decoders"] if state.get("type") == "Sequence" else [state]
    by_type = {step.get("type", "no decoder"): step for step in steps}
    if set(by_type) == {"ByteLevel"}:
        return from_letters, False
    if set(by_type) == {"Fuse"}:
        return str.encode, False
    if set(by_type) == {"Metaspace"}:
        spelled = partial(from_marks, named_bytes=False)
        return spelled, by_type["Metaspace"]["prepend_scheme"] != "never"
    if "Replace" in by_type and set(by_type) <= {"Replace", "ByteFallback", "Fuse", "Strip"}:
        spelled = partial(from_marks, named_bytes="ByteFallback" in by_type)
        return spelled, by_type.get("Strip", {}).get("start", 0) > 0
    raise ValueError(
        f"{_WHO}: {folder / 'tokenizer.json'} joins tokens by {', '.join(by_type)}; expected "
        "byte-level BPE (ByteLevel), SentencePiece (Metaspace, or Replace with ByteFallback), or "
        "pieces of text as they are (Fuse)"
    )


def _alphabet(engine: Any) -> frozenset[str] | None:
    """The characters of a vocabulary that cannot write others: that of `tinynn train gpt`."""
    model = engine.model
    changes_text = engine.normalizer is not None or engine.pre_tokenizer is not None
    if changes_text or type(model).__name__ != "BPE" or model.unk_token or model.byte_fallback:
        return None
    return frozenset(token for token in engine.get_vocab(False) if len(token) == 1)


def _chat_template(folder: Path, settings: Json) -> str | None:
    if (folder / "chat_template.jinja").is_file():
        return (folder / "chat_template.jinja").read_text("utf-8")
    template = settings.get("chat_template")
    if isinstance(template, list):
        named = {entry.get("name"): entry.get("template") for entry in template}
        template = named.get("default")
    return template if isinstance(template, str) else None

"""What is said in a conversation stays text, also where it is the text of a control token.

A chat template gives one text, in which `<|im_end|>` may be the template's own or what somebody
wrote in a message to end their turn and begin another's. So while a template is rendered, messages
wear a disguise: wherever a control token could begin in them, that one character is a private one
of Unicode's. The engine looks for control tokens before it normalizes a text, and its normalizer
puts the characters back: ids of all else are what they are without a disguise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

# A template may compare what stands under these, as it does keys, with names that it knows.
_NAMES = ("role", "type")
# Private characters, from the first of them to the end of Unicode.
_PRIVATE = range(0xE000, 0x110000)


class Disguised(NamedTuple):
    """A value with the disguise on.

    Attributes:
        value: as it was given, but for characters in its texts.
        signs: what is behind each private character; empty where nothing was to be done.
        has_control: whether some text holds that of a whole control token.
    """

    value: Any
    signs: dict[str, str]
    has_control: bool

    def uncovered(self, text: str) -> str:
        """A text without the disguise."""
        return text.translate({ord(cover): sign for cover, sign in self.signs.items()})


class ControlTexts:
    """The texts of a tokenizer's control tokens.

    >>> texts = ControlTexts(["<|end|>"])
    >>> hidden = texts.disguise({"content": "no <|end|> yet"}, "")
    >>> hidden.value["content"], hidden.uncovered(hidden.value["content"])
    ('no \\ue000|end|> yet', 'no <|end|> yet')
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = sorted(filter(None, texts), key=len, reverse=True)
        # Looking ahead finds those that overlap, too.
        self._anywhere = re.compile(f"(?={'|'.join(map(re.escape, self._texts)) or '(?!)'})")
        cuts = [(text[:at], text[at:]) for text in self._texts for at in range(1, len(text))]
        self._heads = {head for head, _ in cuts}
        self._tails = {tail for _, tail in cuts}
        self._longest = max(map(len, self._texts), default=0)

    def disguise(self, value: Any, others: str) -> Disguised:
        """Puts it on all texts in a value.

        Arguments:
            value: plain data, as in JSON.
            others: a text whose characters are not used either.
        """
        used = set(others).union(*_texts(value))
        free = (chr(code) for code in _PRIVATE if chr(code) not in used)
        private: dict[str, str] = {}

        def covered(text: str, is_name: bool) -> str:
            signs = list(text)
            for place in sorted(self._places(text, is_name)):
                if signs[place] not in private:
                    private[signs[place]] = next(free)
                signs[place] = private[signs[place]]
            return "".join(signs)

        hidden = _with_texts(value, covered)
        signs = {cover: sign for sign, cover in private.items()}
        return Disguised(hidden, signs, any(map(self._anywhere.search, _texts(value))))

    def _places(self, text: str, is_name: bool) -> set[int]:
        """Where a control token could begin, or go on from what stands before the text."""
        places = {match.start() for match in self._anywhere.finditer(text)}
        if is_name:
            return places
        # A template may trim a text, and put another one right before or behind it.
        for end in {len(text), len(text.rstrip())}:
            starts = range(max(0, end - self._longest), end)
            places.update(start for start in starts if text[start:end] in self._heads)
        for start in {0, len(text) - len(text.lstrip())}:
            sizes = range(1, self._longest)
            if any(text[start : start + size] in self._tails for size in sizes):
                places.add(start)
            whole = text[start:].rstrip()
            if 0 < len(whole) < self._longest and any(whole in tail for tail in self._tails):
                places.add(start)
        return {place for place in places if place < len(text)}


def engine_behind(engine: Any, signs: Mapping[str, str]) -> Any:
    """A copy of an engine that sees through a disguise once it has found control tokens."""
    state = json.loads(engine.to_str())
    steps = [
        {"type": "Replace", "pattern": {"String": cover}, "content": sign}
        for cover, sign in signs.items()
    ]
    others = [] if state["normalizer"] is None else [state["normalizer"]]
    state["normalizer"] = {"type": "Sequence", "normalizers": steps + others}
    for token in state["added_tokens"]:
        if token["special"]:  # else it is looked for behind the disguise
            token["normalized"] = False
    return type(engine).from_str(json.dumps(state))


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value, and all keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(key)
            yield from _texts(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner)


def _with_texts(value: Any, change: Callable[[str, bool], str], is_name: bool = False) -> Any:
    """The same value with its texts and keys changed."""
    if isinstance(value, str):
        return change(value, is_name)
    if isinstance(value, Mapping):
        return {
            _with_texts(key, change, True): _with_texts(inner, change, key in _NAMES)
            for key, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_with_texts(inner, change) for inner in value]
    return value

"""Tokenizers that are slow and plain, to compare with: no regular expressions, no heaps."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from itertools import pairwise

CONTRACTIONS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")


def kind(character: str) -> str:
    """L letter, N number, S space, or O for all others."""
    if character.isspace() and character not in "\x1c\x1d\x1e\x1f":
        return "S"
    category = unicodedata.category(character)[0]
    return category if category in "LN" else "O"


def end_of_run(text: str, start: int, wanted: str) -> int:
    end = start
    while end < len(text) and kind(text[end]) == wanted:
        end += 1
    return end


def end_of_spaces(text: str, start: int) -> int:
    """Spaces, but for the last one before a word."""
    end = end_of_run(text, start, "S")
    return end - 1 if end < len(text) and end - start > 1 else end


def contraction(text: str, start: int, any_case: bool) -> int | None:
    for ending in CONTRACTIONS:
        there = text[start : start + len(ending)]
        if there == ending or (any_case and there.lower() == ending):
            return start + len(ending)
    return None


def gpt2_end(text: str, start: int) -> int:
    after = contraction(text, start, any_case=False)
    if after is not None:
        return after
    first = start + 1 if text[start] == " " and start + 1 < len(text) else start
    if kind(text[first]) != "S":
        return end_of_run(text, first, kind(text[first]))
    return end_of_spaces(text, start)


def llama3_end(text: str, start: int, digits: int = 3) -> int:
    after = contraction(text, start, any_case=True)
    if after is not None:
        return after
    here, following = kind(text[start]), kind(text[start + 1 : start + 2] or "\n")
    if here == "L":
        return end_of_run(text, start, "L")
    if here != "N" and text[start] not in "\r\n" and following == "L":
        return end_of_run(text, start + 1, "L")
    if here == "N":
        return min(end_of_run(text, start, "N"), start + digits)
    first = start + 1 if text[start] == " " and following == "O" else start
    if kind(text[first]) == "O":
        end = end_of_run(text, first, "O")
        while end < len(text) and text[end] in "\r\n":
            end += 1
        return end
    spaces = text[start : end_of_run(text, start, "S")]
    last_newline = max(spaces.rfind("\n"), spaces.rfind("\r"))
    return start + last_newline + 1 if last_newline >= 0 else end_of_spaces(text, start)


def walk(text: str, end_of_piece: Callable[[str, int], int]) -> Iterator[str]:
    start = 0
    while start < len(text):
        end = end_of_piece(text, start)
        yield text[start:end]
        start = end


def runs(text: str, wanted: Callable[[str], bool], longest: int) -> Iterator[str]:
    """Runs of wanted characters, of at most so many, and what lies between."""

    def end(text: str, start: int) -> int:
        inside, stop = wanted(text[start]), start
        while stop < len(text) and wanted(text[stop]) == inside:
            stop += 1
            if inside and stop - start == longest:
                break
        return stop

    yield from walk(text, end)


def is_number(character: str) -> bool:
    return unicodedata.category(character)[0] == "N"


def is_sign(character: str) -> bool:
    return unicodedata.category(character)[0] == "P" or character in "$+<=>^~|"


def cut_default(text: str) -> Iterator[str]:
    for outer in runs(text, is_sign, 10**9):
        for piece in walk(outer, gpt2_end):
            for number in runs(piece, is_number, 10**9):
                yield from threes(number)


def threes(text: str) -> Iterator[str]:
    """Groups of three digits, and what lies between."""
    between, start = "", 0
    while start < len(text):
        group = text[start : start + 3]
        if len(group) == 3 and group.isascii() and group.isdigit():
            if between:
                yield between
            yield group
            between, start = "", start + 3
        else:
            between, start = between + text[start], start + 1
    if between:
        yield between


def cut_smollm(text: str) -> Iterator[str]:
    for piece in runs(text, is_number, 1):
        yield from walk(piece, gpt2_end)


CUTS: dict[str, Callable[[str], Iterator[str]]] = {
    "default": cut_default,
    "gpt-2": lambda text: walk(text, gpt2_end),
    "llama-bpe": lambda text: walk(text, llama3_end),
    "qwen2": lambda text: walk(text, lambda text, start: llama3_end(text, start, digits=1)),
    "smollm": cut_smollm,
}


def letters() -> dict[int, str]:
    """GPT-2's letter for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {byte: chr(byte) for byte in plain}
    for byte in range(256):
        if byte not in table:
            table[byte] = chr(256 + len(table) - len(plain))
    return table


def ranks(merges: list[str]) -> dict[tuple[str, ...], int]:
    return {tuple(merge.split(" ")): place for place, merge in enumerate(merges)}


def byte_level(
    text: str, pre: str, ids: dict[str, int], rank: dict[tuple[str, ...], int], whole_words: bool
) -> list[int]:
    """The ids of a text by byte-level BPE: the pair of lowest rank first, wherever it stands."""
    table = letters()
    found = []
    for piece in CUTS[pre](text):
        parts = [table[byte] for byte in piece.encode()]
        if whole_words and "".join(parts) in ids:
            parts = ["".join(parts)]
        while pairs := [pair for pair in pairwise(parts) if pair in rank]:
            parts = merged(parts, min(pairs, key=rank.__getitem__))
        found += [ids[part] for part in parts if part in ids]
    return found


def merged(parts: list[str], pair: tuple[str, str]) -> list[str]:
    result: list[str] = []
    for part in parts:
        if result and (result[-1], part) == pair:
            result[-1] += part
        else:
            result.append(part)
    return result


def sentence_pieces(text: str, ids: dict[str, int], scores: list[float], space: bool) -> list[int]:
    """The ids of a text by SentencePiece's BPE: the union that scores highest first."""
    marked = (("▁" if space and text else "") + text).replace(" ", "▁")
    parts = list(marked)
    while True:
        unions = [
            (-scores[ids[left + right]], place)
            for place, (left, right) in enumerate(pairwise(parts))
            if left + right in ids
        ]
        if not unions:
            break
        _, place = min(unions)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    found = []
    for part in parts:
        if part in ids:
            found.append(ids[part])
        else:
            found += [ids[f"<0x{byte:02X}>"] for byte in part.encode()]
    return found

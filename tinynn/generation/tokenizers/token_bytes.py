"""The bytes that a token stands for.

A vocabulary is text, and not every byte is: it spells its tokens. GPT-2's way has a letter for
each byte; SentencePiece's has a mark for the space, and names single bytes in hexadecimal. A token
may be a part of a character, so that only the bytes of many tokens together are text again.
"""

from __future__ import annotations

import re
from functools import cache

SPACE_MARK = "\u2581"
_NAMED_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


@cache
def byte_letters() -> tuple[str, ...]:
    """GPT-2's letter for each of the 256 bytes: printable Latin ones stand for themselves, the
    others for the characters from U+0100 on.

    >>> byte_letters()[ord("a")], byte_letters()[ord(" ")]
    ('a', 'Ġ')
    """
    own = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return tuple(chr(byte if byte in own else next(others)) for byte in range(256))


@cache
def _byte_of_letter() -> dict[str, int]:
    return {letter: byte for byte, letter in enumerate(byte_letters())}


def from_letters(token: str) -> bytes:
    """The bytes of a token that is spelled in GPT-2's letters; one with other characters in it is
    text as it stands.

    >>> from_letters("ĠcafÃ©").decode()
    ' café'
    """
    letters = _byte_of_letter()
    try:
        return bytes([letters[letter] for letter in token])
    except KeyError:
        return token.encode()


def from_marks(token: str, named_bytes: bool = True) -> bytes:
    """The bytes of a token that is spelled in SentencePiece's way.

    Arguments:
        token: its spelling.
        named_bytes: whether `<0xE2>` stands for a byte.

    >>> from_marks("▁the"), from_marks("<0xE2>")
    (b' the', b'\\xe2')
    """
    named = _NAMED_BYTE.fullmatch(token) if named_bytes else None
    if named:
        return bytes([int(named[1], 16)])
    return token.replace(SPACE_MARK, " ").encode()

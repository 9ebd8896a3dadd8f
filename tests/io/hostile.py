"""Files that mean harm: valid ones with bytes, lengths, lines and pieces changed at random."""

from __future__ import annotations

import random
import struct
import tracemalloc

# Where readers break: zero, one less and one more than what a width holds, and large but plausible.
NUMBERS = [0, 1, 2, 3, 8, 31, 33, 255, 2**16, 2**20, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40]
NUMBERS += [2**61, 2**62, 2**63 - 1, 2**63, 2**64 - 32, 2**64 - 8, 2**64 - 1]
WORDS = [b"[", b"{", b"]", b"}", b",", b'"', b"-", b"null", b"1e999", b"NaN", b"\\ud800", b"\xff"]
WORDS += [b"__metadata__", b"dtype", b"F16", b"general.alignment", b"0", b"9" * 20, b"\0" * 8]
WORDS += [b"9" * 5000, b"[" * 3000]


def damaged(content: bytes, draw: random.Random, within: int | None = None) -> bytes:
    """One to four changes to the first `within` bytes of a file's content (to all by default)."""
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(max(1, min(within or len(content), len(content))))
        change = draw.choice([_byte, _bit, _number, _number, _number, _word, _word, _copy, _cut])
        content = change(content, at, draw)
    return content


def _byte(content, at, draw):
    return content[:at] + bytes([draw.randrange(256)]) + content[at + 1 :]


def _bit(content, at, draw):
    return (
        content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :]
        if content
        else b""
    )


def _number(content, at, draw):
    width = draw.choice("IQ")
    number = struct.pack("<" + width, draw.choice(NUMBERS) % 2 ** (32 if width == "I" else 64))
    return content[:at] + number + content[at + len(number) :]


def _word(content, at, draw):
    replaced = draw.choice([0, 1, 8])
    return content[:at] + draw.choice(WORDS) + content[at + replaced :]


def _copy(content, at, draw):
    other = draw.randrange(len(content) + 1)
    return content[:at] + content[other : other + draw.randrange(64)] + content[at:]


def _cut(content, at, draw):
    return (
        content[:at] if draw.random() < 0.3 else content[:at] + content[at + draw.randrange(16) :]
    )


def outcome(read, path, memory: int = 50_000_000) -> bool:
    """Whether a file is read; it must be, or be refused by a ValueError of one line.

    Either way, the memory that it takes is bounded by the file's size and `memory` bytes.
    """
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    error = failure(read, path)
    peak = tracemalloc.get_traced_memory()[1] - before
    assert peak < memory + path.stat().st_size, f"{peak} bytes were taken; {error}"
    if error is None:
        return True
    # The children of ValueError, such as UnicodeDecodeError, would be accidents.
    assert type(error) is ValueError, repr(error)
    assert "\n" not in str(error)
    assert path.name in str(error), repr(error)
    assert len(str(error)) < 1000, repr(error)
    return False


def failure(read, path) -> ValueError | None:
    try:
        read(path)
    except ValueError as error:
        return error
    return None

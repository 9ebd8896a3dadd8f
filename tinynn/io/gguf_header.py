"""The header of a GGUF file: metadata by key, and the name, type, shape and place of each tensor.

    "GGUF" version | tensors keys | key type value ... | name shape type offset ... | padding | data

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian.
A file may come from anyone, so every length is compared with what is left of the file before it is
believed, and what is made of the header is bounded before it is made.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from tinynn.io.stored import shown
from tinynn.io.stored_types import stored_nbytes

if TYPE_CHECKING:
    from tinynn.io.atomic import StrPath

MAX_HEADER = 100_000_000  # bytes; a vocabulary of 256,000 words with its merges takes 15 million
MAX_STRINGS = 2**22  # over all arrays: a short string takes six times as much memory as file
MAX_TENSORS = 2**17
MAX_KEYS = 2**16
MAX_DIMENSIONS = 4
DEFAULT_ALIGNMENT = 32
EXPECTED_ALIGNMENT = "expected a power of two from 8 to 65536"

BOOL, STRING, ARRAY = 7, 8, 9
# Letters that mean the same in struct and, after "<", in NumPy.
NUMBERS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    BOOL: "B",
    10: "Q",
    11: "q",
    12: "d",
}
TENSOR_TYPES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    6: "Q5_0",
    7: "Q5_1",
    8: "Q8_0",
    9: "Q8_1",
    10: "Q2_K",
    11: "Q3_K",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    15: "Q8_K",
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
    20: "IQ4_NL",
    21: "IQ3_S",
    22: "IQ2_S",
    23: "IQ4_XS",
    24: "I8",
    25: "I16",
    26: "I32",
    27: "I64",
    28: "F64",
    29: "IQ1_M",
    30: "BF16",
    34: "TQ1_0",
    35: "TQ2_0",
    39: "MXFP4",
    40: "NVFP4",
    41: "Q1_0",
}
_SCALARS = {code: struct.Struct("<" + letter) for code, letter in NUMBERS.items()}
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")


class Entry(NamedTuple):
    """A tensor as the header announces it; `start` and `nbytes` are its place in the file."""

    name: str
    type: str
    shape: tuple[int, ...]
    start: int
    nbytes: int


class Header(NamedTuple):
    """All that a file says before its data."""

    version: int
    metadata: dict[str, Any]
    entries: list[Entry]


def read_header(content: memoryview, path: StrPath) -> Header:
    """Reads and checks the header of a whole file's content; raises as `read_gguf`."""
    return _Reader(content, path).header()


def is_alignment(value: Any) -> bool:
    """Whether offsets may be multiples of it."""
    return type(value) is int and value in (2**power for power in range(3, 17))


class _Reader:
    """A place in the content that moves on as it is read."""

    def __init__(self, content: memoryview, path: StrPath) -> None:
        self.content = content
        self.path = path
        self.at = 0
        self.end = min(len(content), MAX_HEADER)
        self.strings = 0

    def header(self) -> Header:
        version = self._magic()
        tensors = self._scalar(_U64, "the number of tensors")
        keys = self._scalar(_U64, "the number of keys")
        for count, limit, what in ((tensors, MAX_TENSORS, "tensors"), (keys, MAX_KEYS, "keys")):
            if count > limit:
                self.refuse(f"it announces {count} {what}, the limit is {limit}")
        self._room(keys, 8 + 4 + 1, "keys")
        metadata: dict[str, Any] = {}
        for _ in range(keys):
            key = self._string("a key")
            if key in metadata:
                self.refuse(f"key {shown(key)} comes twice")
            metadata[key] = self._value(shown(key))
        self._room(tensors, 8 + 4 + 4 + 8, "tensors")
        infos = [self._tensor() for _ in range(tensors)]
        return Header(version, metadata, self._place(infos, self._alignment(metadata)))

    def refuse(self, why: str) -> NoReturn:
        raise ValueError(f"read_gguf: {self.path}: {why}")

    def _magic(self) -> int:
        magic = bytes(self.content[:4])
        if magic != b"GGUF":
            self.refuse(
                f"begins with {magic.hex() or 'nothing'}, expected 47475546; this is not GGUF"
            )
        self.at = 4
        version: int = self._scalar(_U32, "the version")
        if version not in (2, 3):
            swapped = " in big-endian order" if version in (2 << 24, 3 << 24) else ""
            self.refuse(f"version is {version}{swapped}, expected 2 or 3, little-endian")
        return version

    def _room(self, count: int, least: int, what: str) -> None:
        """Refuses a count of things that what is left of the header cannot hold."""
        left = self.end - self.at
        if count * least > left:
            limit = f"the limit of {MAX_HEADER} bytes for a header" if self._cut() else "the file"
            self.refuse(
                f"it announces {count} {what} of at least {least} bytes at byte {self.at}, but "
                f"{limit} leaves {left}"
            )

    def _cut(self) -> bool:
        return self.end < len(self.content)

    def _scalar(self, form: struct.Struct, what: str) -> Any:
        if form.size > self.end - self.at:
            self._room(1, form.size, f"value ({what})")
        (value,) = form.unpack_from(self.content, self.at)
        self.at += form.size
        return value

    def _string(self, what: str) -> str:
        (text,) = self._texts(1, what)
        return text

    def _texts(self, count: int, what: str) -> list[str]:
        content, at, last = self.content, self.at, self.end - 8
        unpack = _U64.unpack_from
        texts = []
        for _ in range(count):
            if at > last:
                self.refuse(f"the header ends within {what}")
            (length,) = unpack(content, at)
            at += 8
            if length > self.end - at:
                self.refuse(
                    f"{what} holds a string of {length} bytes at byte {at}, but "
                    f"{self.end - at} are left"
                )
            try:
                texts.append(str(content[at : at + length], "utf-8"))
            except UnicodeDecodeError:
                self.refuse(f"{what} holds a string at byte {at} that is not UTF-8")
            at += length
        self.at = at
        return texts

    def _value(self, key: str) -> Any:
        code = self._scalar(_U32, f"the type of {key}")
        if code == STRING:
            return self._string(key)
        if code == ARRAY:
            return self._array(key)
        if code not in _SCALARS:
            self.refuse(f"{key} has value type {code}, expected 0 to 12")
        value = self._scalar(_SCALARS[code], key)
        if code == BOOL:
            if value > 1:
                self.refuse(f"{key} is a bool of {value}, expected 0 or 1")
            return bool(value)
        return value

    def _array(self, key: str) -> list[str] | np.ndarray[Any, Any]:
        code = self._scalar(_U32, f"the type of {key}")
        count = self._scalar(_U64, f"the length of {key}")
        if code == STRING:
            self._room(count, 8, f"strings in {key}")
            self.strings += count
            if self.strings > MAX_STRINGS:
                self.refuse(f"{key} has {count} strings, the limit is {MAX_STRINGS} in all")
            return self._texts(count, key)
        if code not in NUMBERS:
            self.refuse(f"{key} is an array of value type {code}, expected numbers or strings")
        dtype = np.dtype("<" + NUMBERS[code])
        self._room(count, dtype.itemsize, f"numbers in {key}")
        numbers = np.frombuffer(self.content, dtype, count, self.at).copy()
        self.at += numbers.nbytes
        if code == BOOL:
            if count and numbers.max() > 1:
                self.refuse(f"{key} holds a bool of {numbers.max()}, expected 0 or 1")
            return numbers.view(np.bool_)
        return numbers

    def _tensor(self) -> Entry:
        name = self._string("the name of a tensor")
        tensor = f"tensor {shown(name)}"
        ndim = self._scalar(_U32, f"the dimensions of {tensor}")
        if ndim > MAX_DIMENSIONS:
            self.refuse(f"{tensor} has {ndim} dimensions, the limit is {MAX_DIMENSIONS}")
        sizes = [self._scalar(_U64, f"the shape of {tensor}") for _ in range(ndim)]
        shape = tuple(reversed(sizes))
        code = self._scalar(_U32, f"the type of {tensor}")
        offset = self._scalar(_U64, f"the offset of {tensor}")
        if code not in TENSOR_TYPES:
            self.refuse(f"{tensor} has type {code}, which is not known")
        try:
            nbytes = stored_nbytes(TENSOR_TYPES[code], shape)
        except ValueError as error:
            self.refuse(f"{tensor} {error}")
        return Entry(name, TENSOR_TYPES[code], shape, offset, nbytes)

    def _alignment(self, metadata: dict[str, Any]) -> int:
        alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if not is_alignment(alignment):
            what = alignment if type(alignment) is int else f"a {type(alignment).__name__}"
            self.refuse(f"general.alignment is {what}, {EXPECTED_ALIGNMENT}")
        return int(alignment)

    def _place(self, infos: list[Entry], alignment: int) -> list[Entry]:
        """Turns offsets into places, after comparing them with the file and with each other."""
        start = -(-self.at // alignment) * alignment
        names = set()
        for entry in infos:
            tensor = f"tensor {shown(entry.name)}"
            if entry.name in names:
                self.refuse(f"{tensor} comes twice")
            names.add(entry.name)
            if entry.start % alignment:
                self.refuse(
                    f"{tensor} is at offset {entry.start}, expected a multiple of {alignment}"
                )
            if start + entry.start + entry.nbytes > len(self.content):
                self.refuse(
                    f"{tensor} ends at byte {start + entry.start + entry.nbytes}, but the file has "
                    f"{len(self.content)}; it is truncated or damaged"
                )
        places = [entry._replace(start=start + entry.start) for entry in infos]
        ordered = sorted((entry for entry in places if entry.nbytes), key=lambda entry: entry.start)
        for one, other in pairwise(ordered):
            if one.start + one.nbytes > other.start:
                self.refuse(f"tensors {shown(one.name)} and {shown(other.name)} overlap")
        return places

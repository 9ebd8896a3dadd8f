"""The header of a safetensors file, checked against the file.

    length of the header (8 bytes) | {"NAME": {"dtype", "shape", "data_offsets"}, ...} | values

Format: https://huggingface.co/docs/safetensors. As the format asks, the values of the tensors fill
what follows the header, without gaps and without overlaps.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NoReturn

from tinynn.io.json_object import parse_object
from tinynn.io.stored import StoredTensor, is_text, shown
from tinynn.io.stored_types import TYPE_OF_DTYPE, TYPES, stored_nbytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from tinynn.io.atomic import StrPath

    Array = np.ndarray[Any, Any]

MAX_HEADER = 100_000_000  # bytes, as in the format's own library
_FIELDS = {"dtype", "shape", "data_offsets"}
_DTYPES = {name for name, stored in TYPES.items() if stored.dtype}


def stored_tensors(content: Array, path: StrPath, operation: str) -> dict[str, StoredTensor]:
    """The tensors of a file, given its whole content; raises ValueError as `mapped_safetensors`."""
    return _Header(content, path, operation).tensors()


def header_bytes(arrays: Mapping[str, Array], metadata: Mapping[str, str] | None) -> bytes:
    """What stands before the values of `arrays`, which follow in the mapping's order.

    Raises ValueError for a dtype, a name or a text that the format cannot hold.
    """
    import json

    entries: dict[str, Any] = {}
    if metadata:
        for key, text in metadata.items():
            if not is_text(key) or not is_text(text):
                raise ValueError(f"metadata {key!r:.80} is {text!r:.80}, expected Unicode text")
        entries["__metadata__"] = dict(metadata)
    at = 0
    for name, array in arrays.items():
        if not is_text(name) or name == "__metadata__":
            raise ValueError(f"a tensor is named {name!r:.80}, expected Unicode text")
        if array.dtype.name not in TYPE_OF_DTYPE:
            known = ", ".join(TYPE_OF_DTYPE)
            raise ValueError(f"tensor {shown(name)} is {array.dtype}, expected one of {known}")
        entries[name] = {
            "dtype": TYPE_OF_DTYPE[array.dtype.name],
            "shape": array.shape,
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    header = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    # Spaces bring the values to an address that every dtype allows.
    header += b" " * (-len(header) % 8)
    if len(header) > MAX_HEADER:
        raise ValueError(f"its header takes {len(header)} bytes, the limit is {MAX_HEADER}")
    return struct.pack("<Q", len(header)) + header


class _Header:
    def __init__(self, content: Array, path: StrPath, operation: str) -> None:
        self.where = f"{operation}: {path}"
        self.content = content

    def refuse(self, why: str) -> NoReturn:
        raise ValueError(f"{self.where}: {why}")

    def tensors(self) -> dict[str, StoredTensor]:
        start = 8 + self._length()
        entries = parse_object(self.content[8:start].tobytes(), self.where)
        self._check_metadata(entries.pop("__metadata__", {}))
        data = self.content[start:]
        found = {name: self._tensor(name, entry, data) for name, entry in entries.items()}
        at = 0
        for begin, end, name in sorted((*entries[name]["data_offsets"], name) for name in entries):
            if begin != at:
                self.refuse(f"tensor {shown(name)} begins at offset {begin}, expected {at}")
            at = end
        if at != len(data):
            self.refuse(f"the tensors take {at} bytes, but {len(data)} follow the header")
        return found

    def _length(self) -> int:
        if len(self.content) < 8:
            self.refuse(f"has {len(self.content)} bytes, expected 8 for the header's length")
        (length,) = struct.unpack("<Q", self.content[:8].tobytes())
        if length > MAX_HEADER:
            self.refuse(f"announces a header of {length} bytes, the limit is {MAX_HEADER}")
        if length > len(self.content) - 8:
            self.refuse(
                f"announces a header of {length} bytes, but {len(self.content) - 8} follow; it is "
                "truncated or not safetensors"
            )
        return int(length)

    def _check_metadata(self, metadata: Any) -> None:
        texts = isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values())
        if not texts:
            self.refuse("__metadata__ is not an object of strings")

    def _tensor(self, name: str, entry: Any, data: Array) -> StoredTensor:
        tensor = f"tensor {shown(name)}"
        if not is_text(name):
            self.refuse(f"{tensor} has a name that is not Unicode text")
        if not isinstance(entry, dict) or entry.keys() != _FIELDS:
            self.refuse(f"{tensor} is not described by dtype, shape and data_offsets")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in _DTYPES:
            known = ", ".join(sorted(_DTYPES))
            self.refuse(f"{tensor} has dtype {shown(str(dtype))}, supported are {known}")
        if not _are_sizes(shape):
            self.refuse(f"{tensor} has a shape that is not a list of sizes")
        if not _are_sizes(offsets) or len(offsets) != 2:
            self.refuse(f"{tensor} has data_offsets that are not two offsets")
        try:
            nbytes = stored_nbytes(dtype, shape)
        except ValueError as error:
            self.refuse(f"{tensor} {error}")
        begin, end = offsets
        if begin > end or end > len(data):
            self.refuse(
                f"{tensor} has data_offsets {begin} to {end}, but {len(data)} bytes follow the "
                "header; it is truncated or damaged"
            )
        if end - begin != nbytes:
            self.refuse(
                f"{tensor} has {end - begin} bytes, expected {nbytes} for {dtype} of shape {shape}"
            )
        return StoredTensor(name, dtype, shape, data[begin:end])


def _are_sizes(values: Any) -> bool:
    """Whether it is a list of whole numbers that 8 bytes can hold (True and 1.0 are none)."""
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 2**63 for v in values)

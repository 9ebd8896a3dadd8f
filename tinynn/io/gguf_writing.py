"""Writing GGUF files: numbers from arrays, quantized blocks from tensors that were read."""

from __future__ import annotations

import struct
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from tinynn.io.atomic import StrPath, atomic_write
from tinynn.io.gguf_header import (
    ARRAY,
    BOOL,
    DEFAULT_ALIGNMENT,
    EXPECTED_ALIGNMENT,
    MAX_DIMENSIONS,
    NUMBERS,
    STRING,
    TENSOR_TYPES,
    is_alignment,
)
from tinynn.io.stored import StoredTensor, bytes_of, is_text
from tinynn.io.stored_types import TYPE_OF_DTYPE, stored_nbytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    Array = np.ndarray[Any, Any]

_CODE_OF_TYPE = {name: code for code, name in TENSOR_TYPES.items()}
_CODE_OF_DTYPE = {np.dtype(letter): code for code, letter in NUMBERS.items() if code != BOOL}
_CODE_OF_DTYPE[np.dtype(bool)] = BOOL
_MAX_NAME = 63  # bytes; ggml keeps names in 64, the last of which is 0


def write_gguf(
    path: StrPath, metadata: Mapping[str, Any], tensors: Mapping[str, Array | StoredTensor]
) -> None:
    """Writes a GGUF file of version 3, which is replaced as a whole.

    Arguments:
        path: the file, usually `NAME.gguf`.
        metadata: by key, a str, bool, int or float, or a list or one-dimensional array of one of
            these. As programs that read GGUF expect, an int becomes 32 bits where it fits, else 64,
            and a float becomes 32 bits; a NumPy scalar or array keeps its own dtype. The key
            `general.alignment`, 32 if it is absent, says where tensors may begin.
        tensors: by name, an array of float16, bfloat16, float32, float64, int8, int16, int32 or
            int64, or a `StoredTensor`, whose bytes are written as they are.

    Raises:
        ValueError: a value, dtype, type, name or shape that the format cannot hold.
        OSError: the file cannot be written; it is as it was before.

    >>> import os, tempfile
    >>> from tinynn.io import read_gguf
    >>> path = os.path.join(tempfile.mkdtemp(), "model.gguf")
    >>> block = StoredTensor("q", "Q8_0", (1, 32), np.zeros(34, np.uint8))
    >>> write_gguf(path, {"general.architecture": "llama"}, {"w": np.ones((2, 3)), "q": block})
    >>> file = read_gguf(path)
    >>> file.metadata
    {'general.architecture': 'llama'}
    >>> list(file.tensors.values())
    [StoredTensor('w', F64, (2, 3)), StoredTensor('q', Q8_0, (1, 32))]
    """
    try:
        alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if not is_alignment(alignment):
            raise ValueError(f"general.alignment is {alignment!r:.40}, {EXPECTED_ALIGNMENT}")
        header = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(metadata))]
        header += [_key(key) + _value(key, value) for key, value in metadata.items()]
        offset = 0
        for name, values in tensors.items():
            type, shape = _kind(name, values)
            header.append(_info(name, type, shape, offset))
            offset += -(-stored_nbytes(type, shape) // alignment) * alignment
    except ValueError as error:
        raise ValueError(f"write_gguf: {path}: {error}") from None
    with atomic_write(path) as file:
        _write_aligned(file, b"".join(header), alignment)
        for values in tensors.values():
            raw = values.raw if isinstance(values, StoredTensor) else bytes_of(values)
            _write_aligned(file, raw.data, alignment)


def _write_aligned(file: IO[bytes], content: bytes | memoryview, alignment: int) -> None:
    file.write(content)
    file.write(bytes(-len(content) % alignment))


def _kind(name: str, values: Array | StoredTensor) -> tuple[str, tuple[int, ...]]:
    """The type and the shape of a tensor that GGUF can hold."""
    if isinstance(values, StoredTensor):
        type = values.type
    elif isinstance(values, np.ndarray):
        type = TYPE_OF_DTYPE.get(values.dtype.name, values.dtype.name)
    else:
        raise ValueError(f"tensor {name!r:.80} is a {values.__class__.__name__}, not an array")
    if type not in _CODE_OF_TYPE:
        raise ValueError(
            f"tensor {name!r:.80} is {type:.40}, expected one of {', '.join(_CODE_OF_TYPE)}"
        )
    if len(values.shape) > MAX_DIMENSIONS:
        raise ValueError(
            f"tensor {name!r:.80} has {len(values.shape)} dimensions, the limit is {MAX_DIMENSIONS}"
        )
    return type, values.shape


def _info(name: str, type: str, shape: tuple[int, ...], offset: int) -> bytes:
    text = _text(name, f"name {name!r:.80} of a tensor")
    if len(text) - 8 > _MAX_NAME:
        raise ValueError(f"tensor {name!r:.80} has a name of more than {_MAX_NAME} bytes")
    sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
    return text + sizes + struct.pack("<IQ", _CODE_OF_TYPE[type], offset)


def _key(key: str) -> bytes:
    return _text(key, f"key {key!r:.80}")


def _text(text: str, what: str) -> bytes:
    if not is_text(text):
        raise ValueError(f"{what} is not Unicode text")
    content = text.encode()
    return struct.pack("<Q", len(content)) + content


def _value(key: str, value: Any) -> bytes:
    """A value with its type in front."""
    if isinstance(value, str):
        return struct.pack("<I", STRING) + _text(value, f"the value of {key!r:.80}")
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        texts = b"".join(_text(item, f"a string in {key!r:.80}") for item in value)
        return struct.pack("<IIQ", ARRAY, STRING, len(value)) + texts
    numbers = _numbers(key, value)
    code = _CODE_OF_DTYPE[numbers.dtype]
    if numbers.ndim == 0:
        return struct.pack("<I", code) + numbers.tobytes()
    return struct.pack("<IIQ", ARRAY, code, len(numbers)) + numbers.tobytes()


def _numbers(key: str, value: Any) -> Array:
    """A number or a list of numbers as an array of one of the dtypes that GGUF has."""
    try:
        numbers = np.asarray(value)
    except (ValueError, OverflowError):  # lists of unequal length, for one
        numbers = np.asarray(None)
    if not isinstance(value, np.ndarray | np.generic):
        numbers = _narrowed(numbers)
    numbers = numbers.astype(numbers.dtype.newbyteorder("<"), copy=False)
    if numbers.dtype not in _CODE_OF_DTYPE or numbers.ndim > 1:
        raise ValueError(
            f"the value of {key!r:.80} is {value!r:.80}, expected text, a number of at most 64 "
            "bits, or a list of these"
        )
    return numbers


def _narrowed(numbers: Array) -> Array:
    """Python's numbers in 32 bits, where they fit."""
    if numbers.dtype.kind == "f":
        with np.errstate(over="ignore"):
            narrow = numbers.astype(np.float32)
        return narrow if np.array_equal(np.isinf(narrow), np.isinf(numbers)) else numbers
    if numbers.dtype.kind in "iu":
        for dtype in (np.int32 if numbers.ndim else np.uint32, np.int32):
            narrow = numbers.astype(dtype)
            if np.array_equal(narrow, numbers):
                return narrow
    return numbers

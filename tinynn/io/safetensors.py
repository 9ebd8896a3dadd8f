"""Safetensors, the file format of weights: names, dtypes and shapes in JSON, then the values.

Nothing in such a file is executed when it is read. Format: https://huggingface.co/docs/safetensors.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.io.atomic import StrPath, atomic_write
from tinynn.io.safetensors_header import header_bytes, stored_tensors
from tinynn.io.stored import StoredTensor, bytes_of, map_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Array = np.ndarray[Any, Any]


def save_safetensors(
    path: StrPath, arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes arrays by name to a file, which is replaced as a whole.

    Arguments:
        path: the file, usually `NAME.safetensors`.
        arrays: NumPy arrays of any shape and layout: bools, integers, float16, float32, float64,
            or ml_dtypes' bfloat16. Views of one memory are written separately.
        metadata: free text by name.

    Raises:
        ValueError: a dtype that the format cannot hold, or a name or text that is not a string.
        OSError: the file cannot be written; it is as it was before.

    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> save_safetensors(path, {"weight": np.ones((2, 3), np.float32)}, {"epoch": "7"})
    >>> load_safetensors(path)["weight"].shape, safetensors_metadata(path)
    ((2, 3), {'epoch': '7'})
    """
    try:
        named = {name: np.asarray(array) for name, array in arrays.items()}
        # Wide numbers first: so each begins at an address that its dtype allows.
        named = dict(sorted(named.items(), key=lambda item: -item[1].itemsize))
        header = header_bytes(named, metadata)
    except ValueError as error:
        raise ValueError(f"save_safetensors: {path}: {error}") from None
    with atomic_write(path) as file:
        file.write(header)
        for array in named.values():
            file.write(bytes_of(array).data)


def load_safetensors(path: StrPath) -> dict[str, Array]:
    """Reads all arrays of a file, by name; each owns its memory.

    Raises:
        ValueError: the file is not safetensors, or is truncated, damaged or hostile (the header is
            checked against the file's size before memory is taken), or holds a dtype without an
            equal in NumPy and ml_dtypes' bfloat16.
        OSError: the file is missing or not readable.
    """
    with _open(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)


def safetensors_metadata(path: StrPath) -> dict[str, str]:
    """Reads the metadata of a file without its arrays; raises as `load_safetensors`."""
    with _open(path) as file:
        return dict(file.metadata() or {})


def mapped_safetensors(path: StrPath) -> Mapping[str, StoredTensor]:
    """The tensors of a file, mapped: no value is read before it is asked for.

    Raises:
        ValueError: the file is not safetensors, or is truncated, damaged or hostile, or holds a
            dtype without an equal in NumPy and ml_dtypes' bfloat16; the message is one line that
            names the file, the tensor and the limit.
        OSError: the file is missing or not readable.

    >>> import tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> save_safetensors(path, {"weight": np.ones((2, 3), np.float32)})
    >>> mapped_safetensors(path)["weight"]
    StoredTensor('weight', F32, (2, 3))
    """
    content = map_file(path, "mapped_safetensors")
    return MappingProxyType(stored_tensors(content, path, "mapped_safetensors"))


@contextmanager
def _open(path: StrPath) -> Iterator[Any]:
    import ml_dtypes  # noqa: F401 (registers bfloat16 with NumPy, where the library looks for it)
    from safetensors import SafetensorError, safe_open

    with open(path, "rb"):  # for OSErrors that name the file, folders included
        pass
    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            yield file
    except SafetensorError as error:
        reason = str(error).removeprefix("Error while deserializing header: ")
        raise ValueError(
            f"load_safetensors: {path} is damaged or not a safetensors file: {reason}"
        ) from None
    except AttributeError as error:  # the library looks for the dtype in NumPy, by name
        raise ValueError(
            f"load_safetensors: {path} holds a dtype that is not supported ({error})"
        ) from None

"""Tensors that lie in a file: what they are is known before any of their values is read.

The file is mapped: its bytes come from the disk when they are looked at, are shared between
processes, and can be given back by the system at any time. So a file may be larger than memory. A
mapped file may be replaced or deleted (the old content stays until the last array of it is gone),
but must not be shortened in place: reading what was cut off ends the process.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.backend.dtypes import bfloat16
from tinynn.io.blocks import dequantize
from tinynn.io.stored_types import TYPES, stored_nbytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tinynn.io.atomic import StrPath

    Array = np.ndarray[Any, Any]


class StoredTensor:
    """One tensor of a file.

    Attributes:
        name: what the file calls it.
        type: how its values are stored: "F32", "F16", "BF16", "I32", "Q4_1", "Q8_0" and so on.
        shape: in NumPy's order, rows first, whatever the file's order is.
        raw: [nbytes] uint8, its bytes as they lie in the file: a read-only view, not a copy.

    Raises ValueError where `raw` has not the bytes that type and shape ask for.

    >>> tensor = StoredTensor("bias", "F16", (2,), np.array([1, 2], np.float16).view(np.uint8))
    >>> tensor
    StoredTensor('bias', F16, (2,))
    >>> tensor.nbytes, tensor.array(), tensor.float32()
    (4, array([1., 2.], dtype=float16), array([1., 2.], dtype=float32))
    """

    __slots__ = ("name", "raw", "shape", "type")

    def __init__(self, name: str, type: str, shape: Sequence[int], raw: Array) -> None:
        try:
            nbytes = stored_nbytes(type, shape)
        except ValueError as error:
            raise ValueError(f"StoredTensor: {name!r} {error}") from None
        if raw.dtype != np.uint8 or raw.shape != (nbytes,):
            raise ValueError(
                f"StoredTensor: raw of {name!r} is {raw.dtype} of shape {raw.shape}, expected "
                f"uint8 of shape ({nbytes},) for {type} of shape {tuple(shape)}"
            )
        self.name = name
        self.type = type
        self.shape = tuple(shape)
        self.raw = raw

    @property
    def nbytes(self) -> int:
        """The bytes it takes in the file."""
        return self.raw.nbytes

    def array(self) -> Array:
        """The values in their own dtype, a view of the file that cannot be written to.

        Values that the file holds at an address that their dtype does not allow are copied.

        Raises ValueError for quantized blocks, which have no dtype.
        """
        dtype = TYPES[self.type].dtype
        if not dtype:
            raise ValueError(
                f"StoredTensor.array: {self.name!r} is {self.type}, blocks without a dtype; "
                "float32() gives its values and raw its bytes"
            )
        values = self.raw.view(bfloat16() if dtype == "bfloat16" else dtype).reshape(self.shape)
        return values if values.flags.aligned else _read_only(values.copy())

    def float32(self) -> Array:
        """The values in float32: a view of the file where it holds float32, else a new array.

        Raises as `tinynn.io.blocks.dequantize` for quantized blocks.
        """
        if not TYPES[self.type].dtype:
            return dequantize(self.type, self.raw).reshape(self.shape)
        # A float64 may be too large and become infinite, as in any conversion.
        with np.errstate(all="ignore"):
            return self.array().astype(np.float32, copy=False)

    def __repr__(self) -> str:
        return f"StoredTensor({self.name!r}, {self.type}, {self.shape})"


def map_file(path: StrPath, operation: str) -> Array:
    """The bytes of a file, mapped: [size] uint8, read-only.

    Raises:
        ValueError: `path` is a pipe or a device; the message begins with `operation`.
        OSError: the file is missing or not readable.
    """
    import mmap

    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ValueError(f"{operation}: {path} is not a regular file, so it can't be mapped")
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return _read_only(np.empty(0, np.uint8))
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)


def bytes_of(array: Array) -> Array:
    """The bytes of an array as a file holds them, [nbytes] uint8: in C order and little-endian."""
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(little).reshape(-1).view(np.uint8)


def shown(name: str) -> str:
    """A name from a file for an error message: on one line, and short."""
    return repr(name if len(name) <= 80 else name[:77] + "...")


def is_text(value: Any) -> bool:
    """Whether it is a str that UTF-8 can hold (JSON can write half of a surrogate pair)."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_only(array: Array) -> Array:
    array.flags.writeable = False
    return array


def release(tensors: Iterable[StoredTensor]) -> None:
    """Gives the system back what was read of mapped files, once it was copied or made into other
    numbers: it counts as a program's memory as long as it is mapped in. What is looked at again is
    read again.

    >>> release([StoredTensor("bias", "F16", (1,), np.zeros(2, np.uint8))])  # is not mapped
    """
    import mmap

    advice = getattr(mmap, "MADV_DONTNEED", None)
    if advice is None:
        return
    owners = (_owner(tensor.raw) for tensor in tensors)
    for mapped in {id(owner): owner for owner in owners if isinstance(owner, mmap.mmap)}.values():
        with suppress(OSError):  # of a program that locks its memory
            mapped.madvise(advice)


def _owner(array: Any) -> Any:
    """What an array's memory belongs to."""
    while isinstance(array, np.ndarray):
        array = array.base
    return array.obj if isinstance(array, memoryview) else array

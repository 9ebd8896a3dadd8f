"""IDX, the file format of MNIST: a magic number, dimensions, values; all of it big-endian.

    0x00 0x00 TYPE DIMENSIONS | one uint32 a dimension | values in C order

Format: http://yann.lecun.com/exdb/mnist/. Files may be gzipped; that is seen from their content,
not from their name.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from tinynn.io.atomic import StrPath, atomic_write

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

DTYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype("uint8"),
    0x09: np.dtype("int8"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
MAX_DIMENSIONS = 8
MAX_BYTES = 2**30
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_RATIO = 1032  # deflate cannot compress better than this (zlib's technical details)


def read_idx(path: StrPath, max_bytes: int = MAX_BYTES) -> Array:
    """Reads an array from an IDX file, gzipped or not.

    Arguments:
        path: the file.
        max_bytes: the largest array to accept, in bytes. A header that asks for more is refused
            before any memory is taken, and so is one that asks for more than its file can hold.

    Returns:
        a new array in C order: uint8, int8, int16, int32, float32 or float64, native byte order.

    Raises:
        ValueError: the file is not IDX, or is truncated, too long, damaged or above the limit; the
            message names the file, the field and what was expected.
        OSError: the file is missing or not readable.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "labels-idx1-ubyte.gz"
    >>> write_idx(path, np.array([3, 1, 4], np.uint8))
    >>> read_idx(path)
    array([3, 1, 4], dtype=uint8)
    """
    with open(path, "rb") as raw:
        size = os.fstat(raw.fileno()).st_size
        gzipped = raw.read(2) == _GZIP_MAGIC
        raw.seek(0)
        if not gzipped:
            return _read(raw, path, max_bytes, available=size)
        try:
            with gzip.open(raw) as file:
                return _read(file, path, max_bytes, available=size * _GZIP_RATIO)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"read_idx: {path}: damaged or truncated gzip ({error})") from None


def write_idx(path: StrPath, array: Array) -> None:
    """Writes an array as an IDX file, gzipped if the name ends in `.gz`; replaces it as a whole.

    Raises ValueError for a dtype or a number of dimensions that IDX cannot hold.
    """
    code = {dtype.newbyteorder("="): code for code, dtype in DTYPES.items()}.get(array.dtype)
    if code is None or not 1 <= array.ndim <= MAX_DIMENSIONS:
        raise ValueError(
            f"write_idx: {path}: got {array.dtype} with {array.ndim} dimensions; expected uint8, "
            f"int8, int16, int32, float32 or float64 with 1 to {MAX_DIMENSIONS}"
        )
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    values = np.ascontiguousarray(array, dtype=DTYPES[code])
    with atomic_write(path) as file:
        if Path(path).suffix == ".gz":
            # No name and no time in the header: the same array gives the same bytes.
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
                packed.write(header)
                packed.write(values.data)
        else:
            file.write(header)
            file.write(values.data)


def _read(file: IO[bytes] | gzip.GzipFile, path: StrPath, max_bytes: int, available: int) -> Array:
    """Reads header and values; `available` bounds what the file can hold, header included."""
    dtype, shape = _read_header(file, path)
    # Dimensions of size 0 count as 1 here: (0, 2**32 - 1, 2**32 - 1) is empty and still absurd.
    nbytes = dtype.itemsize * math.prod(max(size, 1) for size in shape)
    described = f"{dtype.newbyteorder('=')} of shape {shape}, {nbytes:,} bytes"
    if nbytes > max_bytes:
        raise ValueError(
            f"read_idx: {path}: the header announces {described}; the limit is {max_bytes:,} bytes"
        )
    if 0 in shape:
        nbytes = 0
    if nbytes > available:
        raise ValueError(
            f"read_idx: {path}: the header announces {described}, but the file can hold "
            f"{available:,} at most; it is truncated or not IDX"
        )
    array = np.empty(shape, dtype)
    received = _fill(file, array.reshape(-1).view(np.uint8).data)
    if received < nbytes:
        raise ValueError(
            f"read_idx: {path}: truncated: the header announces {described}; {received:,} came"
        )
    if file.read(1):
        raise ValueError(f"read_idx: {path}: more bytes follow the {described} of the header")
    return array.astype(dtype.newbyteorder("="), copy=False)


def _read_header(
    file: IO[bytes] | gzip.GzipFile, path: StrPath
) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES:
        raise ValueError(
            f"read_idx: {path}: magic number is {magic.hex() or 'missing'}, expected 0000 and a "
            f"type ({', '.join(f'{code:02x}' for code in DTYPES)}); this is not an IDX file"
        )
    ndim = magic[3]
    if not 1 <= ndim <= MAX_DIMENSIONS:
        raise ValueError(
            f"read_idx: {path}: the header announces {ndim} dimensions, expected 1 to "
            f"{MAX_DIMENSIONS}"
        )
    sizes = file.read(4 * ndim)
    if len(sizes) < 4 * ndim:
        raise ValueError(f"read_idx: {path}: truncated within its {ndim} dimensions")
    shape: tuple[int, ...] = struct.unpack(f">{ndim}I", sizes)
    return DTYPES[magic[2]], shape


def _fill(file: IO[bytes] | gzip.GzipFile, buffer: memoryview) -> int:
    received = 0
    while received < len(buffer):
        count = file.readinto(buffer[received:])  # type: ignore[union-attr]
        if not count:
            break
        received += count
    return received

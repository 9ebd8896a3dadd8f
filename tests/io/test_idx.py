"""IDX files: what is read, and what is refused before memory is taken."""

from __future__ import annotations

import contextlib
import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tinynn.io import read_idx, write_idx

DTYPES = ["uint8", "int8", "int16", "int32", "float32", "float64"]
# A 2 x 3 array of bytes, written by hand from the format's description.
SMALL = bytes.fromhex("0000 08 02 00000002 00000003") + bytes([1, 2, 3, 4, 5, 6])


def header(code, *shape):
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, code, len(shape), *shape)


@pytest.fixture
def write(tmp_path):
    def function(content, packed=False):
        path = tmp_path / "some-idx3-ubyte"
        path.write_bytes(gzip.compress(content) if packed else content)
        return path

    return function


@pytest.mark.parametrize("packed", [False, True])
def test_reads_a_file_written_by_hand(write, packed):
    array = read_idx(write(SMALL, packed))
    assert array.dtype == np.uint8
    assert array.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_values_are_big_endian(write):
    content = header(0x0B, 2) + struct.pack(">hh", 1, -2)
    array = read_idx(write(content))
    assert array.tolist() == [1, -2]
    assert array.dtype.isnative


@given(st.data(), st.sampled_from(DTYPES), st.sampled_from(["", ".gz"]))
def test_round_trip(tmp_path_factory, data, dtype, suffix):
    shape = data.draw(array_shapes(max_dims=4, min_side=0, max_side=4))
    array = data.draw(arrays(dtype, shape))
    path = tmp_path_factory.mktemp("idx") / f"array{suffix}"
    write_idx(path, array.T)
    result = read_idx(path)
    np.testing.assert_array_equal(result, array.T)
    assert result.dtype == array.dtype
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == bool(suffix)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "magic number is missing"),
        (b"\0\0\x08", "magic number is 000008"),
        (b"\x89PNG" + SMALL, "magic number is 89504e47"),
        (header(0x07, 2) + b"ab", "magic number is 00000701"),
        (header(0x08) + b"a", "0 dimensions, expected 1 to 8"),
        (header(0x08, *[1] * 9) + b"a", "9 dimensions, expected 1 to 8"),
        (SMALL[:9], "truncated within its 2 dimensions"),
        (SMALL[:-1], "truncated"),
        (SMALL + b"x", "more bytes follow"),
        (header(0x08, *[2**32 - 1] * 3) + b"a", "the limit is 1,073,741,824 bytes"),
        (header(0x08, 0, *[2**32 - 1] * 7), "the limit is 1,073,741,824 bytes"),
        (header(0x0E, 2**27 + 1), "1,073,741,832 bytes; the limit is 1,073,741,824 bytes"),
        (header(0x08, 2**30) + b"a", "the file can hold"),
    ],
)
def test_refuses_without_taking_memory(write, content, message, packed):
    path = write(content, packed)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message) as caught:
            read_idx(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert peak < 1_000_000


def test_refuses_a_gzip_bomb(write):
    """30 MB of zeros in 30 kB, behind a header that announces 6 bytes, or as many but too many."""
    bomb = header(0x08, 2, 3) + bytes(30_000_000)
    with pytest.raises(ValueError, match="more bytes follow"):
        read_idx(write(bomb, packed=True))
    bomb = header(0x08, 30_000_000) + bytes(30_000_000)
    with pytest.raises(ValueError, match="the limit is 1,000,000 bytes"):
        read_idx(write(bomb, packed=True), max_bytes=1_000_000)


@given(st.data())
def test_damaged_files_give_one_error_or_an_array(tmp_path_factory, data):
    """Bytes changed, cut or added anywhere, gzipped or not: never another exception."""
    content = SMALL if data.draw(st.booleans()) else gzip.compress(SMALL, mtime=0)
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    damaged = damaged[: data.draw(st.integers(0, len(damaged)))] + data.draw(st.binary(max_size=3))
    path = tmp_path_factory.mktemp("damaged") / "file"
    path.write_bytes(damaged)
    with contextlib.suppress(ValueError):
        assert isinstance(read_idx(path), np.ndarray)


@pytest.mark.parametrize("cut", [1, 8, 15])
def test_refuses_truncated_gzip(tmp_path, cut):
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(SMALL)[:-cut])
    with pytest.raises(ValueError, match=r"cut\.gz: damaged or truncated gzip"):
        read_idx(path)


def test_gzip_checksum_is_checked(tmp_path):
    path = tmp_path / "file.gz"
    content = bytearray(gzip.compress(SMALL, compresslevel=0))
    content[content.index(SMALL[-3:])] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="CRC"):
        read_idx(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        read_idx(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError):
        read_idx(tmp_path)


@pytest.mark.parametrize("array", [np.array(1, np.uint8), np.zeros(2, np.int64), np.array(["a"])])
def test_refuses_to_write_what_idx_cannot_hold(tmp_path, array):
    with pytest.raises(ValueError, match=f"got {array.dtype} with {array.ndim} dimensions"):
        write_idx(tmp_path / "file", array)
    assert list(tmp_path.iterdir()) == []


def test_writing_is_deterministic(tmp_path):
    for name in ("one.gz", "two.gz"):
        write_idx(tmp_path / name, np.arange(9, dtype=np.uint8))
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()

"""Headers of GGUF files that lie are refused before memory is taken."""

from __future__ import annotations

import os
import struct
import time
import tracemalloc

import numpy as np
import pytest

from tinynn.io import read_gguf, write_gguf

U32, I32, F32, BOOL, STRING, ARRAY, U64 = 4, 5, 6, 7, 8, 9, 10


def u32(*values):
    return struct.pack(f"<{len(values)}I", *values)


def u64(*values):
    return struct.pack(f"<{len(values)}Q", *values)


def text(content):
    return u64(len(content)) + content


def file(keys=(), tensors=(), data=b"", version=3, counts=None):
    """A file's content from its description, with numbers of keys and tensors that may lie."""
    head = b"GGUF" + u32(version) + u64(*(counts or (len(tensors), len(keys))))
    head += b"".join(keys) + b"".join(tensors)
    return head + bytes(-len(head) % 32) + data


def key(name, kind, value):
    return text(name) + u32(kind) + value


def tensor(name, shape, kind, offset):
    return text(name) + u32(len(shape)) + u64(*shape) + u32(kind) + u64(offset)


W = tensor(b"w", (2, 3), 0, 0)


@pytest.mark.parametrize("version", [2, 3])
def test_reads_a_file_written_by_hand(tmp_path, version):
    path = tmp_path / "file"
    values = np.arange(6, dtype="<f4")
    keys = [key(b"n", U32, u32(7)), key(b"s", ARRAY, u32(STRING) + u64(2) + text(b"") + text(b"a"))]
    path.write_bytes(file(keys, [W], values.tobytes(), version))
    read = read_gguf(path)
    assert (read.version, read.metadata) == (version, {"n": 7, "s": ["", "a"]})
    assert read.tensors["w"].array().tolist() == [[0, 1], [2, 3], [4, 5]]


REFUSED = [
    (b"", "begins with nothing, expected 47475546"),
    (b"GGU", "begins with 474755"),
    (b"GGUF\3", "1 value (the version) of at least 4 bytes at byte 4, but the file leaves 1"),
    (file(version=1), "version is 1, expected 2 or 3"),
    (file(version=3 << 24), "version is 50331648 in big-endian order, expected 2 or 3"),
    (file(counts=(0, 2**63)), "announces 9223372036854775808 keys, the limit is 65536"),
    (file(counts=(0, 60_000)), "60000 keys of at least 13 bytes at byte 24, but the file leaves 8"),
    (file(counts=(2**64 - 1, 0)), "18446744073709551615 tensors, the limit is 131072"),
    (file(counts=(100_000, 0)), "100000 tensors of at least 24 bytes at byte 24, but the file"),
    (file(counts=(0, 1), keys=[u64(2**64 - 1) + bytes(8)]), "a string of 18446744073709551615 b"),
    (file([key(b"a\xff", U32, u32(1))]), "a key holds a string at byte 32 that is not UTF-8"),
    (file([key(b"a", U32, u32(1))] * 2), "key 'a' comes twice"),
    (file([key(b"a", 13, u32(1))]), "'a' has value type 13, expected 0 to 12"),
    (file([key(b"a", BOOL, b"\2")]), "'a' is a bool of 2, expected 0 or 1"),
    (file([key(b"a", STRING, u64(99))]), "'a' holds a string of 99 bytes at byte 45, but"),
    (file([key(b"a", STRING, text(b"\xc3"))]), "'a' holds a string at byte 45 that is not UTF-8"),
    (file([key(b"a\n", STRING, text(b"\xc3"))]), r"'a\n' holds a string at byte 46"),
    (file([key(b"a" * 999, STRING, text(b"\xc3"))]), "aaa...' holds a string at byte"),
    (file([key(b"a", ARRAY, u32(ARRAY) + u64(1))]), "'a' is an array of value type 9, expected nu"),
    (file([key(b"a", ARRAY, u32(U64) + u64(2**61))]), "2305843009213693952 numbers in 'a' of at"),
    (file([key(b"a", ARRAY, u32(STRING) + u64(2**61))]), "2305843009213693952 strings in 'a' of"),
    (file([key(b"a", ARRAY, u32(BOOL) + u64(2) + b"\1\3")]), "'a' holds a bool of 3, expected 0"),
    (file([key(b"general.alignment", U32, u32(24))]), "general.alignment is 24, expected a power"),
    (file([key(b"general.alignment", U32, u32(0))]), "general.alignment is 0, expected a power"),
    (file([key(b"general.alignment", STRING, text(b"8"))]), "general.alignment is a str, expec"),
    (file(tensors=[W]), "tensor 'w' ends at byte 120, but the file has 96"),
    (file(tensors=[W], data=bytes(23)), "tensor 'w' ends at byte 120, but the file has 119"),
    (file(tensors=[W, W], data=bytes(24)), "tensor 'w' comes twice"),
    (file(tensors=[tensor(b"w", (1,) * 5, 0, 0)]), "tensor 'w' has 5 dimensions, the limit is 4"),
    (file(tensors=[tensor(b"w", (1,), 5, 0)], data=bytes(4)), "tensor 'w' has type 5, which is no"),
    (file(tensors=[tensor(b"w", (31,), 8, 0)], data=bytes(99)), "is Q8_0 with rows of 31 values"),
    (file(tensors=[tensor(b"w", (), 8, 0)], data=bytes(99)), "is Q8_0 with rows of 1 values"),
    (
        file(tensors=[tensor(b"w", (2**64 - 1,), 0, 0)]),
        "'w' has a shape of negative size or of more",
    ),
    (
        file(tensors=[tensor(b"w", (2**32, 2**32), 0, 0)]),
        "'w' has a shape of negative size or of more",
    ),
    (
        file(tensors=[tensor(b"w", (0, 2**62, 4), 0, 0)]),
        "'w' has a shape of negative size or of more",
    ),
    (
        file(tensors=[tensor(b"w", (1,), 0, 4)], data=bytes(64)),
        "offset 4, expected a multiple of 32",
    ),
    (file(tensors=[tensor(b"w", (1,), 0, 2**64 - 32)]), "tensor 'w' ends at byte 1844674407370955"),
    (file(tensors=[W, tensor(b"v", (9,), 0, 0)], data=bytes(64)), "'w' and 'v' overlap"),
    (
        file(tensors=[tensor(b"v", (8,), 0, 32), tensor(b"w", (9,), 0, 0)], data=bytes(64)),
        "'w' and 'v' overlap",
    ),
]


@pytest.mark.parametrize(("content", "message"), REFUSED, ids=range(len(REFUSED)))
def test_refuses_without_taking_memory(tmp_path, content, message):
    path = tmp_path / "file"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="read_gguf: ") as caught:
            read_gguf(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert type(caught.value) is ValueError
    assert f"{path}: " in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert peak < 1_000_000


@pytest.mark.parametrize(
    ("kind", "count", "message"),
    [
        (U64, 2**25, "the limit of 100000000 bytes for a header leaves"),
        (STRING, 2**23, "'a' has 8388608 strings, the limit is 4194304 in all"),
    ],
)
def test_a_header_of_gigabytes_is_refused(tmp_path, kind, count, message):
    """The file does have the bytes that its header asks for: it is sparse."""
    path = tmp_path / "file"
    path.write_bytes(file([key(b"a", ARRAY, u32(kind) + u64(count))]))
    os.truncate(path, 2**31)
    with pytest.raises(ValueError, match=message):
        read_gguf(path)


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe is not a regular file"):
        read_gguf(tmp_path / "pipe")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        read_gguf(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError):
        read_gguf(tmp_path)


def test_a_vocabulary_is_read_quickly(tmp_path):
    """Some 50 ms; far more would mean that something is done for each string that need not be."""
    words = [f"Ġword {i}" for i in range(100_000)]
    write_gguf(tmp_path / "file", {"words": words}, {})
    start = time.perf_counter()
    assert read_gguf(tmp_path / "file").metadata["words"] == words
    assert time.perf_counter() - start < 1.5

"""GGUF files that are written here are read here and by the package gguf."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tinynn.io import StoredTensor, read_gguf, write_gguf
from tinynn.io.stored_types import TYPES

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = ["float16", "float32", "float64", "int8", "int16", "int32", "int64", ">f4"]
METADATA = {
    "text": "Ġ träumt\n",
    "yes": True,
    "number": 7,
    "less": -7,
    "large": 2**40,
    "largest": 2**64 - 1,
    "half": 0.5,
    "huge": 1e300,
    "texts": ["a", "ü", ""],
    "none": [],
    "numbers": np.array([1, -2], np.int16),
    "bits": np.array([True, False]),
    "byte": np.uint8(200),
}


def same(left, right):
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and np.array_equal(left, right)
    return left == right


@pytest.mark.parametrize("alignment", [None, 8, 32, 4096])
def test_metadata_round_trip(tmp_path, alignment):
    metadata = METADATA | ({"general.alignment": alignment} if alignment else {})
    tensors = {"a": np.ones(3, np.int8), "b": np.ones(3, np.float32)}
    write_gguf(tmp_path / "file", metadata, tensors)
    file = read_gguf(tmp_path / "file")
    assert file.metadata.keys() == metadata.keys()
    for key, value in metadata.items():
        assert same(file.metadata[key], value), key
    np.testing.assert_array_equal(file.tensors["b"].array(), tensors["b"], strict=True)
    assert (tmp_path / "file").stat().st_size % (alignment or 32) == 0


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([1, 2**31 - 1], "int32"),
        ([1, 2**31], "int64"),
        ([0.5, 1], "float32"),
        ([1e300], "float64"),
        (np.array([1.0]), "float64"),
        ((True, False), "bool"),
    ],
)
def test_lists_of_numbers(tmp_path, value, dtype):
    write_gguf(tmp_path / "file", {"a": value}, {})
    array = read_gguf(tmp_path / "file").metadata["a"]
    assert array.dtype == dtype
    assert array.tolist() == list(value)


@given(st.data())
def test_tensors_round_trip(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("gguf") / "file"
    shapes = array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
    values = arrays(st.sampled_from(DTYPES), shapes)
    tensors = data.draw(st.dictionaries(st.text(max_size=5), values, max_size=4))
    write_gguf(path, {}, {name: array.T for name, array in tensors.items()})
    read = read_gguf(path).tensors
    assert list(read) == list(tensors)
    for name, array in tensors.items():
        native = array.T.astype(array.dtype.newbyteorder("="))
        np.testing.assert_array_equal(read[name].array(), native, strict=True)


def test_the_package_reads_what_is_written(tmp_path):
    gguf = pytest.importorskip("gguf")
    rng = np.random.default_rng(0)
    tensors = {"w": rng.random((3, 4, 5), np.float32), "b": np.ones(2, BFLOAT16)}
    for kind, (values, nbytes, dtype) in TYPES.items():
        if not dtype:
            blocks = rng.integers(0, 256, 6 * nbytes, np.uint8)
            tensors[kind] = StoredTensor(kind, kind, (3, 2 * values), blocks)
    write_gguf(tmp_path / "file", {"general.architecture": "llama"} | METADATA, tensors)
    reader = gguf.GGUFReader(tmp_path / "file")
    for key, value in METADATA.items():
        if key != "none":  # which the package cannot show
            assert same(
                reader.fields[key].contents(), getattr(value, "tolist", lambda v=value: v)()
            )
    assert [tensor.name for tensor in reader.tensors] == list(tensors)
    for theirs in reader.tensors:
        ours = tensors[theirs.name]
        raw = ours.raw if isinstance(ours, StoredTensor) else ours.reshape(-1).view(np.uint8)
        assert tuple(reversed(theirs.shape.tolist())) == ours.shape
        np.testing.assert_array_equal(theirs.data.reshape(-1).view(np.uint8), raw)


def test_what_was_read_is_written_again(tmp_path):
    write_gguf(tmp_path / "one", METADATA, {"w": np.eye(3, dtype=np.float32)})
    file = read_gguf(tmp_path / "one")
    write_gguf(tmp_path / "two", file.metadata, file.tensors)
    again = read_gguf(tmp_path / "two")
    np.testing.assert_array_equal(again.tensors["w"].array(), np.eye(3))
    assert again.metadata["texts"] == METADATA["texts"]


BLOCK = StoredTensor("x", "U8", (2,), np.zeros(2, np.uint8))


@pytest.mark.parametrize(
    ("metadata", "tensors", "message"),
    [
        ({"a": None}, {}, "the value of 'a' is None, expected text"),
        ({"a": 2**64}, {}, "the value of 'a' is 18446744073709551616, expected text"),
        ({"a": {}}, {}, "the value of 'a' is {}, expected text"),
        ({"a": [[1]]}, {}, "the value of 'a' is [[1]], expected text"),
        ({"a": [[1], [1, 2]]}, {}, "the value of 'a' is [[1], [1, 2]], expected text"),
        ({"a": [1, "b"]}, {}, "the value of 'a' is [1, 'b'], expected text"),
        ({"a": np.float16(1)}, {}, "the value of 'a' is np.float16(1.0), expected text"),
        ({1: 1}, {}, "key 1 is not Unicode text"),
        ({"\ud800": 1}, {}, "key '\\ud800' is not Unicode text"),
        ({"a": "\ud800"}, {}, "the value of 'a' is not Unicode text"),
        ({"general.alignment": 33}, {}, "general.alignment is 33, expected a power of two"),
        ({"general.alignment": "x"}, {}, "general.alignment is 'x', expected a power of two"),
        ({}, {"w": [1.0]}, "tensor 'w' is a list, not an array"),
        ({}, {"w": np.zeros(1, bool)}, "tensor 'w' is BOOL, expected one of F32, F16"),
        ({}, {"w": np.zeros(1, complex)}, "tensor 'w' is complex128, expected one of F32, F16"),
        ({}, {"w": BLOCK}, "tensor 'w' is U8, expected one of F32, F16"),
        ({}, {"w": np.zeros((1,) * 5)}, "tensor 'w' has 5 dimensions, the limit is 4"),
        ({}, {"w" * 64: np.zeros(1)}, "has a name of more than 63 bytes"),
        ({}, {3: np.zeros(1)}, "name 3 of a tensor is not Unicode text"),
    ],
)
def test_refuses_what_the_format_cannot_hold(tmp_path, metadata, tensors, message):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="write_gguf: ") as caught:
        write_gguf(path, metadata, tensors)
    assert f"{path}: " in str(caught.value)
    assert message in str(caught.value)
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1

"""Safetensors: what goes in comes out, and damage is one clear error."""

from __future__ import annotations

import contextlib
import json
import struct

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tinynn.io import load_safetensors, safetensors_metadata, save_safetensors

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]


def by_hand(tensors, data, metadata=None):
    """A file's content from its description: length of the header, header in JSON, values."""
    entries = {
        name: {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        for name, (dtype, shape, offsets) in tensors.items()
    }
    if metadata is not None:
        entries["__metadata__"] = metadata
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + data


SMALL = by_hand({"a": ("F32", [2], [0, 8])}, struct.pack("<ff", 1.5, -2.0), {"epoch": "3"})


def test_reads_a_file_written_by_hand(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(SMALL)
    assert load_safetensors(path)["a"].tolist() == [1.5, -2.0]
    assert safetensors_metadata(path) == {"epoch": "3"}


@given(st.data())
def test_round_trip(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("safetensors") / "file"
    shapes = array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
    values = arrays(st.sampled_from(DTYPES), shapes)
    named = data.draw(st.dictionaries(st.text(max_size=5), values, max_size=4))
    named.pop("__metadata__", None)
    transposed = {name: array.T for name, array in named.items()}
    save_safetensors(path, transposed)
    loaded = load_safetensors(path)
    assert loaded.keys() == transposed.keys()
    for name, array in transposed.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array, strict=True)


def test_bfloat16(tmp_path):
    array = np.array([[1.0, -0.5, np.inf]], ml_dtypes.bfloat16)
    save_safetensors(tmp_path / "file", {"x": array})
    loaded = load_safetensors(tmp_path / "file")["x"]
    assert loaded.dtype == array.dtype
    assert loaded.tobytes() == array.tobytes() == bytes.fromhex("803f 00bf 807f")


def test_big_endian_is_converted(tmp_path):
    save_safetensors(tmp_path / "file", {"x": np.array([1, 2], ">i4")})
    assert load_safetensors(tmp_path / "file")["x"].tolist() == [1, 2]


def test_arrays_do_not_depend_on_the_file(tmp_path):
    path = tmp_path / "file"
    save_safetensors(path, {"x": np.ones(1000, np.float32)})
    loaded = load_safetensors(path)["x"]
    path.write_bytes(bytes(path.stat().st_size))
    loaded[0] = 2
    assert loaded.sum() == 1001


def test_no_arrays_and_no_metadata(tmp_path):
    save_safetensors(tmp_path / "file", {})
    assert load_safetensors(tmp_path / "file") == {}
    assert safetensors_metadata(tmp_path / "file") == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        SMALL[:7],
        SMALL[:30],
        SMALL[:-1],
        SMALL + b"x",
        b"\xff" * 8 + SMALL[8:],
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 3) + b"{\xff}",
        struct.pack("<Q", 100_000) + b"[" * 100_000,
        by_hand({"a": ("F32", [2], [0, 4])}, bytes(8)),
        by_hand({"a": ("F32", [2], [8, 0])}, bytes(8)),
        by_hand({"a": ("F32", [3], [0, 8])}, bytes(8)),
        by_hand({"a": ("F32", [2**62, 4], [0, 8])}, bytes(8)),
        by_hand({"a": ("F32", [2], [0, 8]), "b": ("F32", [2], [4, 12])}, bytes(12)),
        by_hand({"a": ("X99", [2], [0, 8])}, bytes(8)),
        by_hand({"a": ("F8_E4M3", [8], [0, 8])}, bytes(8)),
        by_hand({"a": ("F32", [-2], [0, 8])}, bytes(8)),
        by_hand({"a": ("F32", [2], [0, 8])}, bytes(8), {"epoch": 3}),
    ],
)
def test_refuses_damaged_and_hostile_files(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.safetensors") as caught:
        load_safetensors(path)
    assert "\n" not in str(caught.value)


@given(st.data())
def test_damaged_bytes_give_one_error_or_arrays(tmp_path_factory, data):
    damaged = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "file"
    path.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    with contextlib.suppress(ValueError):
        assert isinstance(load_safetensors(path), dict)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        load_safetensors(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError):
        safetensors_metadata(tmp_path)


@pytest.mark.parametrize(
    ("arrays", "metadata"),
    [
        ({"x": np.array(["text"])}, None),
        ({"x": np.array([{}])}, None),
        ({"x": np.zeros(1, np.complex128)}, None),
        ({1: np.zeros(1)}, None),
        ({"x": np.zeros(1)}, {"epoch": 1}),
    ],
)
def test_refuses_what_the_format_cannot_hold(tmp_path, arrays, metadata):
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(ValueError, match=r"save_safetensors: .*file"):
        save_safetensors(tmp_path / "file", arrays, metadata)
    assert (tmp_path / "file").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_torch_reads_and_writes_the_same(tmp_path):
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("safetensors.torch")
    save_safetensors(tmp_path / "ours", {"x": np.eye(3, dtype=ml_dtypes.bfloat16)})
    assert torch.equal(theirs.load_file(tmp_path / "ours")["x"], torch.eye(3, dtype=torch.bfloat16))
    theirs.save_file({"x": torch.eye(3, dtype=torch.bfloat16)}, tmp_path / "theirs")
    loaded = load_safetensors(tmp_path / "theirs")["x"]
    np.testing.assert_array_equal(loaded, np.eye(3, dtype=ml_dtypes.bfloat16), strict=True)

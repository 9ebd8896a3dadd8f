"""Mapped safetensors files: what the library writes is read, and headers that lie are refused."""

from __future__ import annotations

import json
import os
import struct
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tinynn.io import mapped_safetensors, save_safetensors

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
DTYPES += ["uint16", "uint32", "uint64", ml_dtypes.bfloat16]


def by_hand(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@given(st.data())
def test_what_the_library_writes_is_mapped(tmp_path_factory, data):
    from safetensors.numpy import save_file

    path = tmp_path_factory.mktemp("safetensors") / "file"
    shapes = array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
    values = arrays(st.sampled_from(DTYPES[:-1]), shapes)
    named = data.draw(st.dictionaries(st.text(max_size=5), values, max_size=4))
    named.pop("__metadata__", None)
    save_file(named, path, {"format": "np"})
    mapped = mapped_safetensors(path)
    assert mapped.keys() == named.keys()
    for name, array in named.items():
        np.testing.assert_array_equal(mapped[name].array(), array, strict=True)
        assert mapped[name].nbytes == array.nbytes


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_are_views_of_the_file(tmp_path, dtype):
    values = np.array([[0, 1, 2], [1, 0, 1]]).astype(dtype)
    save_safetensors(tmp_path / "file", {"odd": np.zeros(3, np.int8), "w": values})
    tensor = mapped_safetensors(tmp_path / "file")["w"]
    array = tensor.array()
    np.testing.assert_array_equal(array, values, strict=True)
    assert np.shares_memory(array, tensor.raw)
    assert array.flags.aligned
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = 1
    np.testing.assert_array_equal(tensor.float32(), values.astype(np.float32), strict=True)


def test_values_at_an_odd_address_are_copied(tmp_path):
    header = {"a": entry("U8", [1], [0, 1]), "b": entry("F32", [2], [1, 9])}
    (tmp_path / "file").write_bytes(by_hand(header, b"\1" + struct.pack("<ff", 1.5, -2.0)))
    array = mapped_safetensors(tmp_path / "file")["b"].array()
    assert array.tolist() == [1.5, -2.0]
    assert array.flags.aligned
    assert not array.flags.writeable


def test_a_replaced_file_stays_mapped(tmp_path):
    save_safetensors(tmp_path / "file", {"w": np.ones(1000)})
    array = mapped_safetensors(tmp_path / "file")["w"].array()
    save_safetensors(tmp_path / "file", {"w": np.zeros(2)})
    assert array.sum() == 1000


REFUSED = [
    (b"", "has 0 bytes, expected 8"),
    (b"1234567", "has 7 bytes, expected 8"),
    (b"\xff" * 20, "announces a header of 18446744073709551615 bytes, the limit is 100000000"),
    (struct.pack("<Q", 99) + b"{}", "announces a header of 99 bytes, but 2 follow"),
    (by_hand(b""), "is not JSON"),
    (by_hand(b"[]"), "is a JSON list, expected an object"),
    (by_hand(b'{"\xff": 1}'), "byte 2 is not UTF-8"),
    (by_hand(b'{"a":' * 50_000), "is nested too deep"),
    (by_hand(b'{"a":[' + b"1," * 2_200_000), "brackets and commas, the limit is 2097152"),
    (by_hand(b'{"a": {}, "a": {}}'), "name 'a' comes twice"),
    (by_hand(b'{"a": {"dtype": "F32", "dtype": "F16"}}'), "name 'dtype' comes twice"),
    (by_hand(b'{"a\\ud800": {}}'), r"tensor 'a\ud800' has a name that is not Unicode text"),
    (by_hand({"__metadata__": {"a": 1}}), "__metadata__ is not an object of strings"),
    (by_hand({"__metadata__": []}), "__metadata__ is not an object of strings"),
    (by_hand({"a": 1}), "tensor 'a' is not described by dtype, shape and data_offsets"),
    (by_hand({"a": entry() | {"x": 1}}, bytes(8)), "tensor 'a' is not described by"),
    (by_hand({"a": entry("X99")}, bytes(8)), "tensor 'a' has dtype 'X99', supported are BF16"),
    (by_hand({"a": entry("Q4_0", [32], [0, 18])}, bytes(18)), "has dtype 'Q4_0', supported are"),
    (by_hand({"a": entry(["F32"])}, bytes(8)), "tensor 'a' has dtype \"['F32']\", supported are"),
    (by_hand({"a": entry(shape=[-2])}, bytes(8)), "has a shape that is not a list of sizes"),
    (by_hand({"a": entry(shape=[2.0])}, bytes(8)), "has a shape that is not a list of sizes"),
    (by_hand({"a": entry(shape=[True])}, bytes(8)), "has a shape that is not a list of sizes"),
    (by_hand({"a": entry(shape=2)}, bytes(8)), "has a shape that is not a list of sizes"),
    (
        by_hand({"a": entry(shape=[2**62, 4])}, bytes(8)),
        "has a shape of negative size or of more than",
    ),
    (by_hand({"a": entry(shape=[0, 2**62, 4])}), "has a shape of negative size or of more than"),
    (by_hand({"a": entry(shape=[1] * 33)}, bytes(8)), "has 33 dimensions, the limit is 32"),
    (by_hand({"a": entry(offsets=[0])}, bytes(8)), "has data_offsets that are not two offsets"),
    (by_hand({"a": entry(offsets=[8, 0])}, bytes(8)), "has data_offsets 8 to 0, but 8 bytes fol"),
    (by_hand({"a": entry()}, bytes(7)), "'a' has data_offsets 0 to 8, but 7 bytes follow"),
    (by_hand({"a": entry(shape=[3])}, bytes(8)), "has 8 bytes, expected 12 for F32 of shape [3]"),
    (by_hand({"a": entry()}, bytes(9)), "the tensors take 8 bytes, but 9 follow the header"),
    (by_hand({"a": entry(offsets=[1, 9])}, bytes(9)), "'a' begins at offset 1, expected 0"),
    (
        by_hand({"a": entry(), "b": entry(offsets=[4, 12])}, bytes(12)),
        "'b' begins at offset 4, expected 8",
    ),
]


@pytest.mark.parametrize(("content", "message"), REFUSED, ids=range(len(REFUSED)))
def test_refuses_in_bounded_memory(tmp_path, content, message):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="mapped_safetensors: ") as caught:
            mapped_safetensors(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert type(caught.value) is ValueError
    assert f"{path}: " in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert peak < 1_000_000 + 2 * len(content)


def test_special_files_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match=r"mapped_safetensors: .*pipe is not a regular file"):
        mapped_safetensors(tmp_path / "pipe")
    with pytest.raises(IsADirectoryError):
        mapped_safetensors(tmp_path)
    with pytest.raises(FileNotFoundError, match="nothing"):
        mapped_safetensors(tmp_path / "nothing")

"""GGUF: what other programs write is read as they meant it."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from tinynn.io import StoredTensor, read_gguf, write_gguf
from tinynn.io.stored import release
from tinynn.io.stored_types import TYPES

gguf = pytest.importorskip("gguf")

QUANTIZED = [name for name, stored in TYPES.items() if not stored.dtype]


@pytest.fixture
def written(tmp_path):
    """A file as the package gguf writes it, from metadata and arrays or (type, blocks)."""

    def function(metadata=(), tensors=()):
        path = tmp_path / "model.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        for key, add, value in metadata:
            getattr(writer, add)(key, value)
        for name, values in dict(tensors).items():
            if isinstance(values, tuple):
                kind = gguf.GGMLQuantizationType[values[0]]
                writer.add_tensor(name, values[1], raw_dtype=kind)
            else:
                writer.add_tensor(name, values)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return function


def test_metadata_comes_as_plain_values(written):
    values = [
        ("a.uint8", "add_uint8", 255),
        ("a.int8", "add_int8", -128),
        ("a.uint16", "add_uint16", 65535),
        ("a.int16", "add_int16", -32768),
        ("a.uint32", "add_uint32", 2**32 - 1),
        ("a.int32", "add_int32", -(2**31)),
        ("a.uint64", "add_uint64", 2**64 - 1),
        ("a.int64", "add_int64", -(2**63)),
        ("a.float32", "add_float32", 0.5),
        ("a.float64", "add_float64", 0.1),
        ("a.bool", "add_bool", True),
        ("a.string", "add_string", "Ġ träumt\n"),
        ("a.strings", "add_array", ["a", "ü", "𝄞"]),
    ]
    file = read_gguf(written(values))
    assert file.version == 3
    assert file.metadata == {"general.architecture": "llama"} | {k: v for k, _, v in values}
    assert {type(value) for value in file.metadata.values()} == {int, float, bool, str, list}


@pytest.mark.parametrize("values", [[1, -2, 3], [0.5, 2.0], [True, False]])
def test_arrays_of_numbers_come_as_numpy_arrays(written, values):
    array = read_gguf(written([("a.array", "add_array", values)])).metadata["a.array"]
    assert isinstance(array, np.ndarray)
    assert array.dtype.kind == np.array(values).dtype.kind
    assert array.tolist() == values


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8"])
def test_numbers_are_views_of_the_file(written, dtype):
    values = np.arange(6, dtype=dtype).reshape(2, 3)
    tensor = read_gguf(written(tensors={"weight": values, "scalar": values[:1, 0]})).tensors[
        "weight"
    ]
    array = tensor.array()
    np.testing.assert_array_equal(array, values, strict=True)
    assert np.shares_memory(array, tensor.raw)
    assert not array.flags.writeable
    np.testing.assert_array_equal(tensor.float32(), values.astype(np.float32), strict=True)


def test_bfloat16(written):
    values = np.array([[1.0, -0.5, np.inf]], ml_dtypes.bfloat16)
    tensor = read_gguf(written(tensors={"w": ("BF16", values.view(np.uint8))})).tensors["w"]
    assert tensor.array().dtype == ml_dtypes.bfloat16
    assert tensor.float32().tolist() == [[1.0, -0.5, np.inf]]


@pytest.mark.parametrize("kind", QUANTIZED)
def test_every_quantized_type_agrees_with_the_package(written, kind):
    _, nbytes, _ = TYPES[kind]
    blocks = np.random.default_rng(0).integers(0, 256, (7, 3 * nbytes), np.uint8)
    qtype = gguf.GGMLQuantizationType[kind]
    tensor = read_gguf(written(tensors={"w": (kind, blocks)})).tensors["w"]
    assert (tensor.type, tensor.nbytes) == (kind, blocks.nbytes)
    assert TYPES[kind][:2] == gguf.GGML_QUANT_SIZES[qtype]
    np.testing.assert_array_equal(tensor.raw, blocks.reshape(-1))
    with np.errstate(all="ignore"):
        try:
            expected = gguf.quants.dequantize(blocks, qtype)
        except NotImplementedError:
            with pytest.raises(ValueError, match=f"gguf cannot decode {kind}"):
                tensor.float32()
            return
    np.testing.assert_array_equal(tensor.float32(), expected, strict=True)


def test_without_the_package_gguf(monkeypatch):
    """The usual types need nothing; another says what to install."""
    monkeypatch.setitem(sys.modules, "gguf", None)
    for kind in ("Q4_0", "Q4_1", "Q8_0"):
        raw = np.zeros(2 * TYPES[kind].nbytes, np.uint8)
        assert StoredTensor("w", kind, (2, 32), raw).float32().tolist() == [[0.0] * 32] * 2
    with pytest.raises(ImportError, match=r"Q6_K is .* pip install 'tinynn\[llm\]'"):
        StoredTensor("w", "Q6_K", (256,), np.zeros(210, np.uint8)).float32()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("w", "Q4_0", (32,), np.zeros(17, np.uint8)), "expected uint8 of shape (18,) for Q4_0"),
        (("w", "F32", (1,), np.zeros(1, np.float32)), "raw of 'w' is float32 of shape (1,)"),
        (("w", "X", (1,), np.zeros(1, np.uint8)), "'w' has type X, expected one of F64, F32"),
        (("w", "Q4_0", (31,), np.zeros(18, np.uint8)), "'w' is Q4_0 with rows of 31 values"),
        (("w", "F32", (-1,), np.zeros(4, np.uint8)), "'w' has a shape of negative size"),
    ],
)
def test_a_tensor_that_is_not_its_bytes_is_refused(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        StoredTensor(*arguments)


def test_blocks_have_no_dtype():
    tensor = StoredTensor("w", "Q4_0", (32,), np.zeros(18, np.uint8))
    with pytest.raises(
        ValueError, match=r"array: 'w' is Q4_0, blocks without a dtype; float32\(\)"
    ):
        tensor.array()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc here")
def test_what_was_read_is_given_back_and_read_again(tmp_path):
    def mapped_in():
        return int(Path("/proc/self/statm").read_text().split()[2]) * resource.getpagesize()

    path, size = tmp_path / "model.gguf", 32 << 20
    write_gguf(path, {}, {"weight": np.arange(size // 4, dtype=np.float32)})
    tensors = read_gguf(path).tensors
    total = tensors["weight"].array().sum(dtype=np.float64)
    before = mapped_in()
    release(tensors.values())
    assert before - mapped_in() > size // 2
    assert tensors["weight"].array().sum(dtype=np.float64) == total

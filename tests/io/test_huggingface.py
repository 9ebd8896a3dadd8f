"""Folders as transformers writes them: what it saves is read here, and what is saved here it loads."""

from __future__ import annotations

import json

import ml_dtypes
import numpy as np
import pytest

from tinynn.io import read_folder, save_safetensors

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    return tmp_path


def write_shards(folder, shards, weight_map):
    for file, arrays in shards.items():
        save_safetensors(folder / file, arrays)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("dtype", ["float16", "float32", BFLOAT16, "int8", "int64", "bool"])
def test_a_single_file(folder, dtype):
    values = np.arange(6).reshape(2, 3).astype(dtype)
    save_safetensors(folder / "model.safetensors", {"w": values})
    read = read_folder(str(folder))
    assert (read.config, read.generation_config) == ({"model_type": "llama"}, {})
    array = read.tensors["w"].array()
    assert array.dtype == values.dtype
    np.testing.assert_array_equal(array, values)
    assert not array.flags.writeable
    assert np.shares_memory(array, read.tensors["w"].raw)
    np.testing.assert_array_equal(
        read.tensors["w"].float32(), values.astype(np.float32), strict=True
    )


def test_shards(folder):
    (folder / "generation_config.json").write_text('{"eos_token_id": 2}')
    one, two = np.ones(3, np.float32), np.zeros((2, 2), np.float16)
    shards = {"one.safetensors": {"a": one}, "two.safetensors": {"b": two, "c": one}}
    names = {"c": "two.safetensors", "a": "one.safetensors", "b": "two.safetensors"}
    write_shards(folder, shards, names)
    read = read_folder(folder)
    assert read.generation_config == {"eos_token_id": 2}
    assert [(name, tensor.type) for name, tensor in read.tensors.items()] == [
        ("c", "F32"),
        ("a", "F32"),
        ("b", "F16"),
    ]
    np.testing.assert_array_equal(read.tensors["b"].array(), two, strict=True)

"""Folders as transformers writes them: what it saves is read here, and the other way round."""

from __future__ import annotations

import copy
import json
import os

import ml_dtypes
import numpy as np
import pytest

from tinynn.io import read_folder, save_folder, save_safetensors

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


INDEX = "model.safetensors.index.json"


def refusal(folder):
    with pytest.raises(ValueError, match="read_folder: ") as caught:
        read_folder(folder)
    assert type(caught.value) is ValueError
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "config.json: is not JSON"),
        (b"[1]", "config.json: is a JSON list, expected an object"),
        (b'{"a": "\xff"}', "config.json: byte 7 is not UTF-8"),
        (b'{"a":' * 100_000, "config.json: is nested too deep"),
        (b'{"a": ' + b"1" * 5000 + b"}", "config.json: is not JSON: Exceeds the limit"),
        (b"[" + b"," * 3_000_000, "brackets and commas, the limit is 2097152"),
    ],
)
def test_a_damaged_config_is_refused(folder, content, message):
    (folder / "config.json").write_bytes(content)
    assert message in refusal(folder)


def test_a_huge_config_is_refused(folder):
    os.truncate(folder / "config.json", 100_000_001)
    assert "has 100000001 bytes, the limit is 100000000" in refusal(folder)


def test_missing_files_are_named(folder):
    with pytest.raises(FileNotFoundError, match=r"has neither model\.safetensors nor"):
        read_folder(folder)
    (folder / "pytorch_model.bin").touch()
    with pytest.raises(FileNotFoundError, match=r"pickled weights .* are not read"):
        read_folder(folder)
    write_shards(folder, {}, {"a": "one.safetensors"})
    with pytest.raises(FileNotFoundError, match=r"one\.safetensors"):
        read_folder(folder)
    (folder / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        read_folder(folder)
    with pytest.raises(FileNotFoundError):
        read_folder(folder / "nothing")


ONE = {"a": np.ones(3, np.float32)}


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        (None, "weight_map is missing or not an object"),
        ([], "weight_map is missing or not an object"),
        ({"a": 1}, "weight_map of 'a' is '1', expected the name"),
        (
            {"a": "../one.safetensors"},
            "weight_map of 'a' is '../one.safetensors', expected",
        ),
        ({"a": "/one.safetensors"}, "weight_map of 'a' is '/one.safetensors', expected the name"),
        ({"a": "..\\one.safetensors"}, "expected the name of a .safetensors file in the folder"),
        ({"a": "one.bin"}, "weight_map of 'a' is 'one.bin', expected the name"),
        ({"a": "9" * 244 + ".safetensors"}, "expected the name of a .safetensors file"),
        ({"a": "\n.safetensors"}, "expected the name of a .safetensors file in the folder"),
        ({"a": "\ud800.safetensors"}, "expected the name of a .safetensors file in the folder"),
        ({"a": "\0.safetensors"}, "expected the name of a .safetensors file in the folder"),
        (
            {"a": "one.safetensors", "b": "one.safetensors"},
            "'one.safetensors' lacks tensor 'b', which the index puts there",
        ),
        (
            {"a": "one.safetensors", "c": "two.safetensors"},
            "'two.safetensors' holds tensor 'a', which the index does not put there",
        ),
    ],
)
def test_index_and_shards_that_disagree_are_refused(folder, weight_map, message):
    two = ONE | {"c": np.zeros(1)}
    write_shards(folder, {"one.safetensors": ONE, "two.safetensors": two}, weight_map)
    assert f"{INDEX}: " in refusal(folder)
    assert message in refusal(folder)


def test_a_name_twice_in_the_index_is_refused(folder):
    write_shards(folder, {"one.safetensors": ONE}, {})
    (folder / INDEX).write_text('{"weight_map": {"a": "one.safetensors", "a": "two.safetensors"}}')
    assert f"{INDEX}: name 'a' comes twice" in refusal(folder)


def test_a_truncated_shard_is_refused(folder):
    write_shards(folder, {"one.safetensors": ONE}, {"a": "one.safetensors"})
    shard = folder / "one.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1])
    assert "one.safetensors: tensor 'a' has data_offsets 0 to 12, but 11 bytes" in refusal(folder)


def test_saved_folders_are_read(tmp_path):
    tensors = {f"t{i}": np.full((i, 2), i, np.float32).T for i in range(1, 6)}
    tensors["last"] = np.ones(100, BFLOAT16)
    path = tmp_path / "model"
    save_folder(path, {"a": 1}, tensors, shard_size=50, extra_files={"notes.txt": b"hello"})
    names = [f"model-0000{i}-of-00004.safetensors" for i in range(1, 5)]
    assert sorted(os.listdir(path)) == ["config.json", *names, INDEX, "notes.txt"]
    assert (path / "notes.txt").read_bytes() == b"hello"
    read = read_folder(path)
    assert list(read.tensors) == list(tensors)
    for name, array in tensors.items():
        np.testing.assert_array_equal(read.tensors[name].array(), array, strict=True)
    total = sum(array.nbytes for array in tensors.values())
    assert json.loads((path / INDEX).read_text())["metadata"] == {"total_size": total}


def test_a_folder_without_tensors(tmp_path):
    save_folder(tmp_path / "model", {}, {})
    read = read_folder(tmp_path / "model")
    assert (read.config, dict(read.tensors)) == ({}, {})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"config": {"a": object()}}, "config cannot be written as JSON"),
        ({"tensors": {"a": [1.0]}}, "tensor 'a' is a list, expected a NumPy array"),
        ({"tensors": {"a": np.array(["x"])}}, "tensor 'a' is <U1, expected one of float64"),
        ({"tensors": {1: np.ones(1)}}, "a tensor is named 1, expected Unicode text"),
        ({"shard_size": 0}, "shard_size is 0, expected 1 or more bytes"),
        ({"extra_files": {"../x": b""}}, "extra file '../x' is not a plain name"),
        ({"extra_files": {"..": b""}}, "extra file '..' is not a plain name"),
        (
            {"extra_files": {"config.json": b""}},
            "extra file 'config.json' has a name that",
        ),
        ({"extra_files": {"x": "text"}}, "extra file 'x' is a str, expected bytes"),
    ],
)
def test_refuses_to_save(tmp_path, arguments, message):
    settings = {"config": {}, "tensors": {}} | arguments
    with pytest.raises(ValueError, match=f"save_folder: {tmp_path / 'model'}: {message}"):
        save_folder(tmp_path / "model", **settings)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_stays(tmp_path):
    with pytest.raises(FileExistsError, match=tmp_path.name):
        save_folder(tmp_path, {}, {})
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def llama():
    """A small model of transformers, with weights of its own."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "vocab_size": 50}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2}
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, **heads))


@pytest.mark.parametrize("shard_size", ["1GB", "20KB"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_what_transformers_saves_is_read(tmp_path, llama, dtype, shard_size):
    torch = pytest.importorskip("torch")
    model = type(llama)(copy.deepcopy(llama.config)).to(getattr(torch, dtype))
    model.save_pretrained(tmp_path, max_shard_size=shard_size)
    assert (tmp_path / INDEX).exists() == (shard_size == "20KB")
    read = read_folder(tmp_path)
    expected = model.state_dict()
    assert read.tensors.keys() == expected.keys()
    assert read.config["hidden_size"] == 32
    assert read.generation_config["_from_model_config"]
    for name, tensor in expected.items():
        assert read.tensors[name].array().dtype == np.dtype(getattr(ml_dtypes, dtype, dtype))
        np.testing.assert_array_equal(
            read.tensors[name].float32(), tensor.float().numpy(), strict=True
        )


@pytest.mark.parametrize("shard_size", [10**9, 20_000])
def test_transformers_loads_what_is_saved(tmp_path, llama, shard_size):
    torch = pytest.importorskip("torch")
    tensors = {name: tensor.numpy() for name, tensor in llama.state_dict().items()}
    save_folder(tmp_path / "model", llama.config.to_dict(), tensors, shard_size=shard_size)
    loaded, report = type(llama).from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not any(report.values())
    tokens = torch.tensor([[1, 2, 3]])
    torch.testing.assert_close(loaded(tokens).logits, llama(tokens).logits)

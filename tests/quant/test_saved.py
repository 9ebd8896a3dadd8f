"""Files of quantized models: every tensor and every setting is accounted for, or refused."""

from __future__ import annotations

import json
import random
import shutil
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinynn as tn
from tests.generation.conftest import tiny
from tests.io.hostile import damaged, outcome
from tinynn.generation import load, save
from tinynn.io import load_safetensors, save_safetensors
from tinynn.models import Transformer
from tinynn.quant import quantization_settings, quantize, restore_matrices, stored_matrices

DOWN, QKV, UP = "layers.1.mlp.down_proj", "layers.0.self_attn.qkv_proj", "layers.1.mlp.gate_up_proj"


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    folder = tmp_path_factory.mktemp("valid") / "m"
    model = quantize(tiny(qkv_bias=True), "int8")
    model.tokenizer = None
    save(model, folder)
    return folder


@pytest.fixture
def folder(valid, tmp_path):
    return shutil.copytree(valid, tmp_path / "m")


def change_tensors(folder, change):
    arrays = load_safetensors(folder / "model.safetensors")
    change(arrays)
    save_safetensors(folder / "model.safetensors", arrays)


def change_settings(folder, change):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config["quantization_config"])
    path.write_text(json.dumps(config))


def test_names_and_shapes_are_those_that_the_documentation_says(folder):
    found = load_safetensors(folder / "model.safetensors")
    assert (found[f"{QKV}.blocks"].shape, found[f"{QKV}.blocks"].dtype) == ((8, 2, 512), np.uint8)
    assert found[f"{QKV}.row_scales"].shape == found[f"{QKV}.bias"].shape == (128,)
    assert found["lm_head.blocks"].shape == (3, 2, 512)  # 35 rows fill three tiles of 16
    assert not [name for name in found if "q_proj" in name or name.endswith("proj.weight")]


DAMAGES = {
    "missing": (
        lambda arrays: arrays.pop(f"{DOWN}.blocks"),
        f"missing: {DOWN}.blocks",
    ),
    "missing scales": (
        lambda arrays: arrays.pop(f"{QKV}.row_scales"),
        f"missing: {QKV}.row_scales",
    ),
    "missing bias": (lambda arrays: arrays.pop(f"{QKV}.bias"), f"missing: {QKV}.bias"),
    "missing norm": (lambda arrays: arrays.pop("norm.weight"), "missing: norm.weight"),
    "unexpected": (
        lambda arrays: arrays.update({f"{DOWN}.weight": np.ones((64, 256), np.float32)}),
        f"unexpected: {DOWN}.weight (64, 256)",
    ),
    "blocks of another format": (
        lambda arrays: arrays.update({f"{UP}.blocks": np.zeros((32, 2, 320), np.uint8)}),
        f"{UP}.blocks is U8 (32, 2, 320), expected U8 (32, 2, 512)",
    ),
    "fewer tiles": (
        lambda arrays: arrays.update({f"{UP}.blocks": arrays[f"{UP}.blocks"][1:]}),
        f"{UP}.blocks is U8 (31, 2, 512), expected U8 (32, 2, 512)",
    ),
    "flat": (
        lambda arrays: arrays.update({f"{UP}.blocks": arrays[f"{UP}.blocks"].reshape(-1)}),
        f"{UP}.blocks is U8 (32768,), expected U8 (32, 2, 512)",
    ),
    "signs": (
        lambda arrays: arrays.update({f"{UP}.blocks": arrays[f"{UP}.blocks"].view(np.int8)}),
        f"{UP}.blocks is I8 (32, 2, 512), expected U8 (32, 2, 512)",
    ),
    "half scales": (
        lambda arrays: arrays.update({f"{QKV}.row_scales": np.ones(128, np.float16)}),
        f"{QKV}.row_scales is F16 (128,), expected F32 (128,)",
    ),
    "half norm": (
        lambda arrays: arrays.update({"norm.weight": np.ones(64, np.float16)}),
        "norm.weight is F16 (64,), expected F32 (64,)",
    ),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_damaged_tensors_are_named(what, folder):
    change, message = DAMAGES[what]
    change_tensors(folder, change)
    with pytest.raises(ValueError) as caught:
        load(folder)
    assert str(caught.value).startswith(f"{folder} does not fit the model that its config desc")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def several(formats):
    formats |= {"layers.0.self_attn.q_proj": "int8"}


SETTINGS = {
    "method": (lambda its: its.update(quant_method="gptq"), "quant_method 'gptq' is not known"),
    "no method": (lambda its: its.clear(), "quant_method None is not known here"),
    "activations": (lambda its: its.update(activations="int4"), "activations is 'int4', expected"),
    "no modules": (lambda its: its.update(modules={}), "modules is {}, expected formats by"),
    "a list": (lambda its: its.update(modules=["lm_head"]), r"modules is ['lm_head'], expected"),
    "format": (
        lambda its: its["modules"].update({DOWN: "int3"}),
        f"'{DOWN}' has format 'int3', expected one of int8, int8-32, int4, int4-symmetric, fp16",
    ),
    "no format": (lambda its: its["modules"].update({DOWN: [1]}), "has format [1], expected one"),
    "no layer": (
        lambda its: its["modules"].update({"layers.9.mlp.down_proj": "int8"}),
        "the model has no layer 'layers.9.mlp.down_proj' to be quantized",
    ),
    "no linear layer": (
        lambda its: its["modules"].update({"norm": "int8"}),
        "the model has no layer 'norm' to be quantized",
    ),
    "twice": (
        lambda its: several(its["modules"]),
        "layers.0.self_attn.q_proj is there twice, by itself and stacked",
    ),
    "another format": (
        lambda its: its["modules"].update({DOWN: "fp16"}),
        f"missing: {DOWN}.weight",
    ),
    "left out": (lambda its: its["modules"].pop(DOWN), f"missing: {DOWN}.weight"),
}


@pytest.mark.parametrize("what", SETTINGS)
def test_settings_that_are_not_right_are_named(what, folder):
    change, message = SETTINGS[what]
    change_settings(folder, change)
    with pytest.raises(ValueError) as caught:
        load(folder)
    assert message in str(caught.value)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_that_is_refused_stays_as_it_was(valid):
    model = quantize(tiny(qkv_bias=True), "int8")
    settings = quantization_settings(model)
    fresh = Transformer(tiny(qkv_bias=True).config)
    before = {name: tensor.numpy().copy() for name, tensor in fresh.state_dict().items()}

    class Tensor:
        type, raw = "F32", None

        def __init__(self, shape):
            self.shape = shape

        def array(self):
            raise AssertionError("no value is read before all is known to fit")

    tensors = {name: Tensor(array.shape) for name, array in stored_matrices(model).items()}
    with pytest.raises(ValueError, match="blocks is F32"):
        restore_matrices(fresh, tensors, settings, "m")
    assert not any(repr(layer).startswith("Quantized") for layer in fresh.modules())
    for name, tensor in fresh.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])


CONFIG = {
    "hidden_size": (-1, 65, 2**30, "64", None, 1.5, True),
    "num_heads": (0, 3, [], "two"),
    "num_kv_heads": (None, 5, 2**70),
    "activation": ("gelu_new", None, {}),
    "gated": ("yes", 1, None),
    "norm_eps": (-1, "1e-5", True, None),
    "rope_scaling": ([], "linear", {"rope_type": "unknown"}),
    "window_from": (-1, 0.5),
    "window": (0, -3, "7"),
    "dropout": (None, "0"),
    "vocab_size": (50, 2**24, 10**40),
    "num_layers": (1, 3, 10**7),
}


@pytest.mark.parametrize("name", CONFIG)
def test_a_config_that_is_not_right_is_refused(name, folder):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for value in CONFIG[name]:
        path.write_text(json.dumps(config | {name: value}))
        with pytest.raises(ValueError) as caught:
            load(folder)
        assert "\n" not in str(caught.value)
        assert str(folder) in str(caught.value)
    path.write_text(json.dumps({key: its for key, its in config.items() if key != name}))
    with pytest.raises(ValueError, match=f"m: config.json: {name} is missing"):
        load(folder)


@given(seed=st.integers(0, 2**32), name=st.sampled_from(["config.json", "model.safetensors"]))
@settings(max_examples=100, deadline=None)
def test_files_that_mean_harm_are_read_or_refused(seed, name, valid, tmp_path_factory):
    """Whatever the bytes: a model that computes, or one line; memory stays bounded."""
    folder = shutil.copytree(valid, tmp_path_factory.mktemp("harm") / "m")
    content = (folder / name).read_bytes()
    within = None if name == "config.json" else 5000
    (folder / name).write_bytes(damaged(content, random.Random(seed), within))

    def read(path):
        with tn.no_grad(), np.errstate(all="ignore"):  # of values that are damaged
            load(path)(tn.tensor([[1, 2, 3]]))

    tracemalloc.start()
    try:
        outcome(read, folder)
    finally:
        tracemalloc.stop()
        shutil.rmtree(folder)

"""Configs and weights that are wrong are refused by name, and nothing is half loaded."""

import numpy as np
import pytest

import tinynn as tn
from tinynn.io import read_gguf, save_folder, write_gguf
from tinynn.io.stored import StoredTensor
from tinynn.models import (
    Transformer,
    TransformerConfig,
    load_weights,
    read_gguf_config,
    read_hugging_face,
    stored_weights,
)
from tinynn.models.families import GGUF as FAMILIES

LLAMA = {
    "model_type": "llama",
    "vocab_size": 40,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
}
GGUF = {
    "general.architecture": "qwen2",
    "qwen2.embedding_length": 32,
    "qwen2.block_count": 2,
    "qwen2.attention.head_count": 4,
    "qwen2.attention.layer_norm_rms_epsilon": 1e-6,
    "tokenizer.ggml.tokens": ["a", "b"],
}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model_type": "bert"}, "model_type 'bert' is not a family .* known are llama, mistral"),
        ({"model_type": ["llama"]}, r"model_type \['llama'\] is not a family"),
        ({"hidden_size": None}, "hidden_size is missing"),
        ({"hidden_size": 2**40}, "hidden_size must be a whole number from 1 to 16777216"),
        ({"num_hidden_layers": -1}, "num_layers must be a whole number from 1"),
        ({"num_attention_heads": 3.5}, "num_heads must be a whole number from 1 .* got 3.5"),
        ({"num_attention_heads": True}, "num_heads must be a whole number"),
        ({"num_key_value_heads": 3}, "num_heads must be a multiple of num_kv_heads, got 4 and 3"),
        ({"num_attention_heads": 5}, "hidden_size must be a multiple of num_heads .* 32 and 5"),
        ({"vocab_size": "many"}, "vocab_size must be a whole number"),
        ({"hidden_act": "mish"}, "activation 'mish' is not known; known are gelu"),
        ({"rope_scaling": [1]}, r"rope_parameters must be an object, got \[1\]"),
        ({"rope_theta": "x"}, "rope_theta must be a number above 0, got 'x'"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor 0.5 is not supported"),
        (
            {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]},
            "layer_types has full attention behind sliding_attention",
        ),
    ],
)
def test_configs_that_are_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        read_hugging_face(LLAMA | changes)


def test_a_window_may_be_that_of_the_last_layers():
    kinds = ["full_attention", "sliding_attention"]
    _, config = read_hugging_face(LLAMA | {"sliding_window": 4, "layer_types": kinds})
    assert [config.window_of(layer) for layer in range(2)] == [None, 4]
    _, config = read_hugging_face(LLAMA | {"sliding_window": 4, "use_sliding_window": False})
    assert config.window is None


def test_older_and_newer_ways_to_write_rotation():
    scaling = {"type": "linear", "factor": 2.0}
    _, older = read_hugging_face(LLAMA | {"rope_theta": 7.0, "rope_scaling": scaling})
    parameters = {"rope_type": "linear", "factor": 2.0, "rope_theta": 7.0}
    _, newer = read_hugging_face(LLAMA | {"rope_parameters": parameters})
    assert older == newer
    assert (newer.rope_base, newer.rope_scaling) == (7.0, {"rope_type": "linear", "factor": 2.0})


def test_sizes_of_gguf():
    _, config = read_gguf_config(GGUF, {"output.weight"})
    assert (config.vocab_size, config.num_kv_heads, config.tied, config.qkv_bias) == (
        2,
        4,
        False,
        True,
    )
    assert not config.rope_interleaved
    with pytest.raises(ValueError, match=r"qwen2.block_count is missing"):
        read_gguf_config({key: GGUF[key] for key in GGUF if key != "qwen2.block_count"}, ())
    with pytest.raises(ValueError, match=r"rope.scaling.type 'yarn' is not supported"):
        read_gguf_config(GGUF | {"qwen2.rope.scaling.type": "yarn"}, ())
    with pytest.raises(ValueError, match=r"rope.dimension_count is 4 of heads of 8"):
        read_gguf_config(GGUF | {"qwen2.rope.dimension_count": 4}, ())


def llama3_factor(frequency, scaling):
    """What Llama 3.1 divides a pair's frequency by, as its reference code has it, by wavelength."""
    original, factor = scaling["original_max_position_embeddings"], scaling["factor"]
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    wavelength = 2 * np.pi / frequency
    if wavelength < original / high:
        return 1.0
    if wavelength > original / low:
        return factor
    smooth = (original / wavelength - low) / (high - low)
    return 1 / ((1 - smooth) / factor + smooth)


LLAMA3_SCALING = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


@pytest.fixture
def llama3():
    """A model with Llama 3's scaling, and the metadata and tensors of its GGUF file."""
    tn.manual_seed(0)
    sizes = {"vocab_size": 40, "hidden_size": 64, "num_layers": 2, "num_heads": 2}
    options = {"rope_base": 5000.0, "rope_interleaved": True, "max_positions": 256}
    model = Transformer(TransformerConfig(**sizes, **options, rope_scaling=LLAMA3_SCALING)).eval()
    for parameter in model.parameters():
        parameter.data *= 8  # so that attention is no plain mean
    metadata = {
        "general.architecture": "llama",
        "llama.embedding_length": 64,
        "llama.block_count": 2,
        "llama.attention.head_count": 2,
        "llama.feed_forward_length": 256,
        "llama.context_length": 256,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.freq_base": 5000.0,
        "tokenizer.ggml.tokens": [str(number) for number in range(40)],
    }
    frequencies = 5000.0 ** (-np.arange(0, 32, 2) / 32)
    factors = [llama3_factor(frequency, LLAMA3_SCALING) for frequency in frequencies]
    assert len(set(factors)) > 4
    return model, metadata, {"rope_freqs.weight": np.array(factors, np.float32)}


def read(path):
    file = read_gguf(path)
    family, config = read_gguf_config(file.metadata, file.tensors)
    model = Transformer(config)
    load_weights(model, file.tensors, family, str(path))
    return model.eval()


def test_factors_of_frequencies_in_a_gguf_file_are_llama3s_scaling(llama3, tmp_path):
    model, metadata, factors = llama3
    weights = stored_weights(model, FAMILIES["llama"])
    write_gguf(tmp_path / "with", metadata, weights | factors)
    write_gguf(tmp_path / "without", metadata, weights)
    tokens = tn.tensor(np.random.default_rng(0).integers(0, 40, (1, 200)))
    with tn.no_grad():
        expected = model(tokens).numpy()
        with_factors = read(tmp_path / "with")(tokens).numpy()
        without = read(tmp_path / "without")(tokens).numpy()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(with_factors, expected, rtol=0, atol=1e-4 * scale)
    assert np.abs(without - expected).max() > 0.01 * scale


def test_factors_that_are_wrong_are_refused(llama3, tmp_path):
    model, metadata, factors = llama3
    weights = stored_weights(model, FAMILIES["llama"])

    def refused(says, changes, **more):
        write_gguf(tmp_path / "wrong", metadata | more, weights | changes)
        with pytest.raises(ValueError, match=says):
            read(tmp_path / "wrong")

    name = "rope_freqs.weight"
    refused(r"rope_freqs.weight is \(5,\), expected \(16,\)", {name: np.ones(5, np.float32)})
    refused("factors 0.0, expected a number above 0", {name: np.zeros(16, np.float32)})
    linear = {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 2.0}
    refused("both rope_freqs.weight and llama.rope.scaling.type 'linear'", factors, **linear)


def stored(arrays):
    return {
        name: StoredTensor(name, "F32", array.shape, array.reshape(-1).view(np.uint8))
        for name, array in arrays.items()
    }


def test_weights_are_accounted_for():
    family, config = read_hugging_face(LLAMA)
    source = Transformer(config)
    arrays = stored_weights(source, family)
    model = Transformer(config)
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    wrong = dict(arrays) | {"model.extra": np.zeros(3, np.float32)}
    wrong["model.norm.weight"] = np.zeros(5, np.float32)
    del wrong["model.layers.1.mlp.up_proj.weight"]
    with pytest.raises(ValueError, match=r"^file.x does not fit the model") as refused:
        load_weights(model, stored(wrong), family, "file.x")
    for part in (
        "missing: model.layers.1.mlp.up_proj.weight",
        r"unexpected: model.extra (3,)",
        "wrong shape: model.norm.weight is (5,), which gives (5,), expected (32,)",
    ):
        assert part in str(refused.value)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    load_weights(model, stored(arrays), family, "file.x")
    tokens = tn.tensor([[1, 2, 3]])
    np.testing.assert_array_equal(model(tokens).detach().numpy(), source(tokens).detach().numpy())


def test_many_problems_are_told_in_one_line():
    family, config = read_hugging_face(LLAMA)
    with pytest.raises(ValueError, match=r"missing: .*; and [0-9]+ more$") as refused:
        load_weights(Transformer(config), {}, family, "file.x")
    assert "\n" not in str(refused.value)


def test_weights_that_are_mapped_are_not_copied(tmp_path):
    from tinynn.io import read_folder

    family, config = read_hugging_face(LLAMA)
    save_folder(tmp_path / "m", LLAMA, stored_weights(Transformer(config), family))
    model, tensors = Transformer(config), read_folder(tmp_path / "m").tensors
    load_weights(model, tensors, family, "m")
    array = model.layers[0].mlp.up_proj.weight.data
    assert np.shares_memory(array, tensors["model.layers.0.mlp.up_proj.weight"].raw)


def test_a_model_learns():
    config = TransformerConfig(vocab_size=11, hidden_size=32, num_layers=2, num_heads=2)
    tn.manual_seed(0)
    model, rng = Transformer(config), np.random.default_rng(0)
    optimizer = tn.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        start = rng.integers(0, 11, (16, 1))
        tokens = (start + np.arange(9) * 3) % 11
        scores = model(tn.tensor(tokens[:, :-1]))
        loss = tn.nn.functional.cross_entropy(
            scores.flatten(0, 1), tn.tensor(tokens[:, 1:]).flatten()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert abs(losses[0] - np.log(11)) < 0.1
    assert losses[-1] < 0.1

"""Models in few bits: how far their scores move, and what is replaced."""

import numpy as np
import pytest

import tinynn as tn
from tests.generation.conftest import tiny
from tinynn.generation import generate
from tinynn.io import read_gguf, write_gguf
from tinynn.io.stored import StoredTensor
from tinynn.models import Transformer, load_weights, match_weights, stored_weights
from tinynn.models.families import GGUF
from tinynn.quant import FORMATS, QuantizedEmbedding, QuantizedLinear, place_matrices, quantize

TOKENS = np.random.default_rng(0).integers(0, 35, (2, 20))


def scores(model):
    with tn.no_grad():
        return model(tn.tensor(TOKENS)).numpy()


def dequantized(format, **options):
    """The model with the numbers that its quantized weights stand for."""
    model = tiny(**options)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            parameter.data[...] = quantize(parameter.data, format).dequantize()
    return model


@pytest.mark.parametrize(
    "options",
    [
        {"tied": True},
        {"qkv_bias": True},
        {"gated": False, "mlp_bias": True},
        {"head_dim": 40},
        {"num_heads": 3, "num_kv_heads": 3, "head_dim": 24},
    ],
    ids=str,
)
@pytest.mark.parametrize("format", FORMATS)
def test_scores_are_those_of_the_rounded_weights(format, options):
    """Also where layers with one input are stacked, and where they cannot be."""
    expected = scores(dequantized(format, **options))
    found = scores(quantize(tiny(**options), format, activations="float32"))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * expected.std())
    # The rounding itself is no small thing in so small a model, and must not be nothing.
    assert np.abs(found - scores(tiny(**options))).max() > 1e-4


def test_more_bits_are_closer():
    exact = scores(tiny())
    errors = {
        format: np.square(scores(quantize(tiny(), format)) - exact).mean() / exact.var()
        for format in FORMATS
    }
    assert errors["fp16"] < errors["bf16"] < errors["int8-32"] < errors["int4"]
    assert errors["int8"] < errors["int4"] < 0.5


def test_what_is_replaced():
    model = quantize(tiny(tied=True, learned_positions=True), "int8")
    kinds = {name: type(layer) for name, layer in model.named_modules()}
    assert kinds["embed_tokens"] is QuantizedEmbedding
    assert kinds["embed_positions"] is tn.nn.Embedding
    assert kinds["lm_head"] is QuantizedLinear
    assert model.lm_head.matrix is model.embed_tokens.matrix
    assert not [name for name, kind in kinds.items() if kind is tn.nn.Linear]
    assert "layers.0.self_attn.qkv_proj" in kinds
    assert "layers.1.mlp.gate_up_proj" in kinds
    assert "layers.1.mlp.up_proj" not in kinds


def test_it_generates_as_it_scores():
    model = quantize(tiny(), "int8")
    prompt = [3, 1, 4, 1, 5]
    cached = generate(model, prompt, 12, stop_tokens=())
    plain = generate(model, prompt, 12, stop_tokens=(), use_cache=False)
    assert cached.token_ids == plain.token_ids


@pytest.mark.parametrize("format", FORMATS)
def test_steps_of_all_formats_can_be_recorded(format):
    model = quantize(tiny(tied=True), format)
    with tn.no_grad():
        step = tn.compile(model)
        for tokens in (TOKENS, TOKENS[:, ::-1].copy()):
            given = tn.tensor(tokens)
            np.testing.assert_array_equal(step(given).numpy(), model(given).numpy())
        assert len(step.plans) == 1
        with pytest.raises(IndexError, match="999"):
            step(tn.tensor(np.full_like(TOKENS, 999)))


@pytest.mark.parametrize("format", FORMATS)
def test_matrices_move_with_their_model(format, device):
    model = quantize(tiny(tied=True), format, activations="float32")
    expected, options = scores(model), {"max_new_tokens": 40, "stop_tokens": ()}
    written = generate(model, [3, 1, 4], **options).token_ids
    model.to(device)
    with tn.no_grad():
        found = model(tn.tensor(TOKENS, device=device)).to("cpu").numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * expected.std())
    assert model.lm_head.matrix is model.embed_tokens.matrix
    assert generate(model, [3, 1, 4], **options).token_ids == written
    np.testing.assert_array_equal(scores(model.to("cpu")), expected)


def test_no_gradient_is_lost_in_silence():
    layer = quantize(tn.nn.Sequential(tn.nn.Linear(4, 3)), "int8")
    with pytest.raises(RuntimeError, match="no gradient goes through quantized weights"):
        layer(tn.ones(2, 4, requires_grad=True))
    with tn.no_grad():
        layer(tn.ones(2, 4, requires_grad=True))


def test_unknown_formats_are_refused():
    with pytest.raises(ValueError, match="format is 'int3', expected one of int8"):
        quantize(tiny(), "int3")


def test_blocks_of_a_file_stay_as_they_are(tmp_path):
    """The scores are those of the same file expanded."""
    from gguf import GGMLQuantizationType, quants

    tensors = {}
    for name, array in stored_weights(tiny(), GGUF["llama"]).items():
        kind = "Q8_0" if "ffn_down" in name else "Q4_1" if "attn_k" in name else "Q4_0"
        if array.ndim == 2 and "embd" not in name:
            raw = quants.quantize(array, GGMLQuantizationType[kind])
            tensors[name] = StoredTensor(name, kind, array.shape, raw.reshape(-1))
        else:
            tensors[name] = array.astype(np.float16) if array.ndim == 2 else array
    path = tmp_path / "m.gguf"
    write_gguf(path, {"general.architecture": "llama"}, tensors)
    config, stored = tiny().config, read_gguf(path).tensors
    exact, found = Transformer(config), Transformer(config)
    load_weights(exact, stored, GGUF["llama"], "m")
    place_matrices(found, match_weights(found, stored, GGUF["llama"], "m"), "stored", "float32")
    formats = {name: layer.matrix.format for name, layer in found.named_modules() if "proj" in name}
    assert formats["layers.0.mlp.down_proj"] == "int8-32"
    assert formats["layers.0.mlp.gate_up_proj"] == "int4-symmetric"
    assert formats["layers.1.self_attn.q_proj"] == "int4-symmetric"
    assert formats["layers.1.self_attn.k_proj"] == "int4"
    assert found.embed_tokens.matrix.format == "fp16"
    expected = scores(exact)
    np.testing.assert_allclose(scores(found), expected, rtol=1e-3, atol=1e-3 * expected.std())

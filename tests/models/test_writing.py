"""Models as transformers' folders: read back they are the same, and transformers agrees."""

import numpy as np
import pytest

import tinynn as tn
from tinynn.io import read_folder, save_folder
from tinynn.models import (
    Transformer,
    TransformerConfig,
    load_weights,
    read_hugging_face,
    to_hugging_face,
)

SIZES = {"vocab_size": 97, "hidden_size": 64, "num_layers": 3, "num_heads": 4, "max_positions": 64}
GPT2 = {
    "gated": False,
    "norm": "layer",
    "learned_positions": True,
    "activation": "gelu_tanh",
    "qkv_bias": True,
    "out_bias": True,
    "mlp_bias": True,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
FACTORS = {"rope_type": "factors", "factors": [1.0] * 8}
CONFIGS = {
    "gpt2": SIZES | GPT2 | {"tied": True},
    "gpt2 with a head": SIZES | GPT2 | {"activation": "gelu", "intermediate_size": 100},
    "llama": SIZES | {"num_kv_heads": 2, "tied": True, "rope_base": 5000.0},
    "llama with biases": SIZES | {"qkv_bias": True, "out_bias": True, "mlp_bias": True},
    "llama 3": SIZES | {"head_dim": 32, "rope_scaling": LLAMA3},
    "qwen3": SIZES | {"qk_norm": True, "num_kv_heads": 2, "head_dim": 32, "norm_eps": 1e-6},
}


@pytest.fixture(params=CONFIGS)
def model(request):
    """With weights large enough to tell mistakes."""
    tn.manual_seed(0)
    model = Transformer(TransformerConfig(**CONFIGS[request.param])).eval()
    draws = np.random.default_rng(0)
    for parameter in model.parameters():
        spread = 0.2 if parameter.ndim > 1 else 0.5
        parameter.data += (spread * draws.standard_normal(parameter.shape)).astype(np.float32)
        parameter.bump_version()
    return model


@pytest.fixture
def folder(model, tmp_path):
    save_folder(tmp_path / "model", *to_hugging_face(model))
    return tmp_path / "model"


def test_what_is_written_is_read_back(model, folder):
    stored = read_folder(folder)
    family, config = read_hugging_face(stored.config)
    again = Transformer(config)
    load_weights(again, stored.tensors, family, str(folder))
    assert again.config == model.config
    expected = dict(model.named_parameters())
    for name, parameter in again.named_parameters():
        np.testing.assert_array_equal(parameter.data, expected[name].data)


def test_logits_of_transformers_agree(model, folder):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    theirs, report = transformers.AutoModelForCausalLM.from_pretrained(
        folder, attn_implementation="eager", output_loading_info=True
    )
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    tokens = np.random.default_rng(0).integers(0, 97, (2, 33))
    with torch.no_grad():
        expected = theirs.eval()(torch.from_numpy(tokens)).logits.numpy()
    with tn.no_grad():
        found = model(tn.tensor(tokens)).numpy()
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("switches", "message"),
    [
        (GPT2 | {"gated": True}, "gated is True, but models of the family gpt2 have False"),
        ({"norm": "layer"}, "norm is 'layer', but models of the family llama have 'rms'"),
        ({"rope_interleaved": True}, "rope_interleaved is True"),
        ({"rope_scaling": FACTORS}, "rope_scaling is of type 'factors', but .* llama know default"),
        ({"rope_scaling": {"rope_type": "ntk", "factor": 2.0}}, "rope_scaling is of type 'ntk'"),
        ({"qkv_bias": True}, "out_bias is False, but .* llama have True"),
        ({"qk_norm": True, "mlp_bias": True}, "mlp_bias is True, but .* qwen3 have False"),
        ({"window": 8}, "window is 8"),
    ],
)
def test_what_no_family_has_is_refused(switches, message):
    with pytest.raises(ValueError, match=message):
        to_hugging_face(Transformer(TransformerConfig(**SIZES | switches)))

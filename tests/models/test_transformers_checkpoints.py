"""Tiny random checkpoints that transformers writes: loaded here, their logits agree; and back."""

import numpy as np
import pytest

import tinynn as tn
from tinynn.io import read_folder
from tinynn.models import Transformer, load_weights, read_hugging_face

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SIZES = {
    "vocab_size": 97,
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 112,
    "max_position_embeddings": 64,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 5000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
CHECKPOINTS = {
    "llama": ("Llama", SIZES | {"num_key_value_heads": 2, "tie_word_embeddings": True}),
    "llama with biases": (
        "Llama",
        SIZES | {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": False},
    ),
    "llama 3": ("Llama", SIZES | {"rope_parameters": LLAMA3, "head_dim": 32}),
    "mistral": ("Mistral", SIZES | {"num_key_value_heads": 1, "sliding_window": 7}),
    "qwen2": ("Qwen2", SIZES | {"num_key_value_heads": 2}),
    "qwen2 with windows": (
        "Qwen2",
        SIZES
        | {"num_key_value_heads": 4, "use_sliding_window": True, "sliding_window": 5}
        | {"max_window_layers": 1},
    ),
    "qwen3": ("Qwen3", SIZES | {"num_key_value_heads": 2, "head_dim": 32}),
    "gpt2": (
        "GPT2",
        {"vocab_size": 97, "n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 64}
        | {"bos_token_id": 0, "eos_token_id": 0},
    ),
}


def checkpoint(kind, folder, **options):
    """A model of transformers with weights large enough to tell mistakes, and what it saved."""
    family, sizes = CHECKPOINTS[kind]
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**sizes, attn_implementation="eager")
    head = "LMHeadModel" if family == "GPT2" else "ForCausalLM"
    model = getattr(transformers, family + head)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            spread = 0.2 if parameter.ndim > 1 else 0.5
            parameter.add_(spread * torch.randn_like(parameter))
    model.save_pretrained(folder, **options)
    return model


def loaded(folder):
    stored = read_folder(folder)
    family, config = read_hugging_face(stored.config)
    with tn.nn.init.skip():
        model = Transformer(config)
    load_weights(model, stored.tensors, family, str(folder))
    return model.eval()


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_logits_agree(kind, tmp_path):
    theirs = checkpoint(kind, tmp_path)
    tokens = np.random.default_rng(0).integers(0, 97, (2, 33))
    with torch.no_grad():
        expected = theirs(torch.from_numpy(tokens)).logits.numpy()
    with tn.no_grad():
        found = loaded(tmp_path)(tn.tensor(tokens)).numpy()
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)

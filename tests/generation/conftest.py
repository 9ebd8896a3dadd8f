"""A tiny model with a tokenizer, which writes nonsense, and the model that the project fetches."""

import pytest

import tinynn as tn
from tinynn.generation import Tokenizer
from tinynn.models import Transformer, TransformerConfig

LETTERS = "abcdefghijklmnopqrstuvwxyz .,!?"
TOKENS = ["<end>", *("Ġ" if letter == " " else letter for letter in LETTERS), "th", "er", "the"]
METADATA = {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "gpt-2",
    "tokenizer.ggml.tokens": TOKENS,
    "tokenizer.ggml.merges": ["t h", "e r", "th e"],
    "tokenizer.ggml.token_type": [3] + [1] * (len(TOKENS) - 1),
    "tokenizer.ggml.eos_token_id": 0,
    "tokenizer.chat_template": (
        "{% for message in messages %}{{ message.role[0] }}{{ message.content }}<end>{% endfor %}"
        "{% if add_generation_prompt %}a{% endif %}"
    ),
}


def tiny(**options):
    """A model whose scores differ enough for the highest to be clear, and nothing repeats."""
    tn.manual_seed(1)
    sizes = {"vocab_size": len(TOKENS), "hidden_size": 64, "num_layers": 2, "num_heads": 2}
    config = TransformerConfig(**sizes | {"num_kv_heads": 1, "max_positions": 128} | options)
    model = Transformer(config)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            parameter.data *= 12
    model.tokenizer = Tokenizer.from_gguf(METADATA)
    return model.eval()


@pytest.fixture(scope="session")
def model():
    return tiny()

"""The calls of `generation_calls` by transformers, on a GPU, in float16.

The model has the sizes of the file's, and weights drawn at random: they do not matter for time.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.generation_calls import tokens
from tinynn.io import read_gguf
from tinynn.models import read_gguf_config

Call = Callable[[], object]


def opened(path: str):
    """A model on the GPU."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    file = read_gguf(path)
    _, ours = read_gguf_config(file.metadata, file.tensors)
    config = LlamaConfig(
        vocab_size=ours.vocab_size,
        hidden_size=ours.hidden_size,
        intermediate_size=ours.intermediate_size,
        num_hidden_layers=ours.num_layers,
        num_attention_heads=ours.num_heads,
        num_key_value_heads=ours.num_kv_heads,
        head_dim=ours.head_dim,
        max_position_embeddings=ours.max_positions,
        tie_word_embeddings=ours.tied,
    )
    with torch.device("cuda"):
        return LlamaForCausalLM(config).half().eval()


def prompt(path: str, count: int) -> Call:
    """Reads a prompt of so many tokens and scores the next one."""
    import torch

    model = opened(path)

    @torch.inference_mode()
    def call() -> object:
        ids = torch.tensor([tokens(count)], device="cuda")
        return model(ids, use_cache=True, logits_to_keep=1).logits[0, -1].float().cpu()

    return call


def decode(path: str, depth: int, new: int, texts: int) -> Call:
    """Writes so many tokens to each text, behind `depth` that are in the cache."""
    import torch

    model = opened(path)
    with torch.inference_mode():
        ids = torch.tensor([tokens(depth)] * texts, device="cuda")
        cache = model(ids, use_cache=True, logits_to_keep=1).past_key_values

    @torch.inference_mode()
    def call() -> None:
        written = cache.get_seq_length() - depth
        if written:
            cache.crop(-written)
        for place in range(new):
            ids = torch.full((texts, 1), 9 + place, device="cuda")
            scores = model(ids, past_key_values=cache, use_cache=True).logits[:, -1]
            scores.argmax(dim=-1).cpu()

    return call

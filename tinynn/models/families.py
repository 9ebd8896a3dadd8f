"""The families of language models: what their files call the sizes, switches and weights.

A family is a table. Its weights are named by patterns, in which {} stands for the number of a
layer; where a file keeps a weight in another form, a function gives ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Array = np.ndarray[Any, Any]
    Change = Callable[[Array], Array]


class Source(NamedTuple):
    """Where a weight of ours comes from: a name in a file, and what makes it ours."""

    name: str
    change: Change | None = None


class Family(NamedTuple):
    """What is particular to a family; sizes are {our name: the names that a file may have}."""

    sizes: Mapping[str, tuple[str, ...]]
    switches: Mapping[str, Any]
    names: Mapping[str, Source]
    prefix: str = ""  # of all names but the head's; files of a model without a head lack it
    ignored: tuple[str, ...] = ()  # of what is no weight: how the names end


def _transposed(array: Array) -> Array:
    return np.ascontiguousarray(array.T)


def _third(number: int, *, transposed: bool) -> Change:
    """Query, key or value of a weight that holds all three, side by side."""

    def change(array: Array) -> Array:
        if transposed:
            array = array.T
        size = len(array) // 3
        return np.ascontiguousarray(array[number * size : (number + 1) * size])

    return change


def _same(prefix: str, names: Mapping[str, str]) -> dict[str, Source]:
    return {ours: Source(prefix + theirs) for ours, theirs in names.items()}


# ---- Hugging Face: config.json and safetensors

_SIZES = {
    "vocab_size": ("vocab_size",),
    "hidden_size": ("hidden_size", "n_embd"),
    "num_layers": ("num_hidden_layers", "n_layer"),
    "num_heads": ("num_attention_heads", "n_head"),
    "num_kv_heads": ("num_key_value_heads",),
    "head_dim": ("head_dim",),
    "intermediate_size": ("intermediate_size", "n_inner"),
    "max_positions": ("max_position_embeddings", "n_positions", "n_ctx"),
    "norm_eps": ("rms_norm_eps", "layer_norm_epsilon"),
    "tied": ("tie_word_embeddings",),
    "activation": ("hidden_act", "activation_function"),
    "window": ("sliding_window",),
}
_BIASES = {
    "qkv_bias": ("attention_bias",),
    "out_bias": ("attention_bias",),
    "mlp_bias": ("mlp_bias",),
}
_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")
_LAYER = (
    *(f"self_attn.{name}.{kind}" for name in _PROJECTIONS for kind in ("weight", "bias")),
    "self_attn.q_norm.weight",
    "self_attn.k_norm.weight",
    "input_layernorm.weight",
    "post_attention_layernorm.weight",
    *(f"mlp.{name}_proj.{kind}" for name in ("gate", "up", "down") for kind in ("weight", "bias")),
)
_LLAMA = _same(
    "model.",
    {name: name for name in ("embed_tokens.weight", "norm.weight")}
    | {f"layers.{{}}.{name}": f"layers.{{}}.{name}" for name in _LAYER},
) | {"lm_head.weight": Source("lm_head.weight")}
_COMPUTED = ("rotary_emb.inv_freq",)

_GPT2 = {
    "embed_tokens.weight": Source("transformer.wte.weight"),
    "embed_positions.weight": Source("transformer.wpe.weight"),
    "norm.weight": Source("transformer.ln_f.weight"),
    "norm.bias": Source("transformer.ln_f.bias"),
    "lm_head.weight": Source("lm_head.weight"),
}
for _ours, _theirs in (("input_layernorm", "ln_1"), ("post_attention_layernorm", "ln_2")):
    for _kind in ("weight", "bias"):
        _GPT2[f"layers.{{}}.{_ours}.{_kind}"] = Source(f"transformer.h.{{}}.{_theirs}.{_kind}")
# GPT-2's linear layers are written as x W + b: their weights lie the other way round.
for _ours, _theirs in (
    ("self_attn.o_proj", "attn.c_proj"),
    ("mlp.up_proj", "mlp.c_fc"),
    ("mlp.down_proj", "mlp.c_proj"),
):
    _GPT2[f"layers.{{}}.{_ours}.weight"] = Source(
        f"transformer.h.{{}}.{_theirs}.weight", _transposed
    )
    _GPT2[f"layers.{{}}.{_ours}.bias"] = Source(f"transformer.h.{{}}.{_theirs}.bias")
for _number, _ours in enumerate(("q_proj", "k_proj", "v_proj")):
    for _kind in ("weight", "bias"):
        _GPT2[f"layers.{{}}.self_attn.{_ours}.{_kind}"] = Source(
            f"transformer.h.{{}}.attn.c_attn.{_kind}",
            _third(_number, transposed=_kind == "weight"),
        )

# By "model_type" of config.json. SmolLM2 is a llama.
HUGGING_FACE = {
    "llama": Family(_SIZES | _BIASES, {}, _LLAMA, "model.", _COMPUTED),
    "mistral": Family(_SIZES, {}, _LLAMA, "model.", _COMPUTED),
    "qwen2": Family(_SIZES, {"qkv_bias": True}, _LLAMA, "model.", _COMPUTED),
    "qwen3": Family(_SIZES | _BIASES, {"qk_norm": True}, _LLAMA, "model.", _COMPUTED),
    "gpt2": Family(
        _SIZES,
        {
            "gated": False,
            "norm": "layer",
            "learned_positions": True,
            "qkv_bias": True,
            "out_bias": True,
            "mlp_bias": True,
            "tied": True,
        },
        _GPT2,
        "transformer.",
        ("attn.bias", "attn.masked_bias"),
    ),
}

# ---- GGUF: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; keys follow "ARCHITECTURE."

_GGUF_SIZES = {
    "vocab_size": ("vocab_size",),
    "hidden_size": ("embedding_length",),
    "num_layers": ("block_count",),
    "num_heads": ("attention.head_count",),
    "num_kv_heads": ("attention.head_count_kv",),
    "head_dim": ("attention.key_length",),
    "intermediate_size": ("feed_forward_length",),
    "max_positions": ("context_length",),
    "norm_eps": ("attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"),
    "window": ("attention.sliding_window",),
    "rope_base": ("rope.freq_base",),
}
_GGUF_LAYER = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_GGUF = {
    "embed_tokens.weight": Source("token_embd.weight"),
    "embed_positions.weight": Source("position_embd.weight"),
    "norm.weight": Source("output_norm.weight"),
    "norm.bias": Source("output_norm.bias"),
    "lm_head.weight": Source("output.weight"),
} | {
    f"layers.{{}}.{ours}.{kind}": Source(f"blk.{{}}.{theirs}.{kind}")
    for ours, theirs in _GGUF_LAYER.items()
    for kind in ("weight", "bias")
}
_GGUF_GPT2 = _GGUF | {
    f"layers.{{}}.self_attn.{name}.{kind}": Source(
        f"blk.{{}}.attn_qkv.{kind}", _third(number, transposed=False)
    )
    for number, name in enumerate(("q_proj", "k_proj", "v_proj"))
    for kind in ("weight", "bias")
}

# What the frequencies of rotary pairs are divided by; the config has it.
FACTORS = "rope_freqs.weight"

# By "general.architecture".
GGUF = {
    # The pairs of a head's numbers that are turned lie side by side in its files.
    "llama": Family(_GGUF_SIZES, {"rope_interleaved": True}, _GGUF, ignored=(FACTORS,)),
    "qwen2": Family(_GGUF_SIZES, {"qkv_bias": True}, _GGUF),
    "qwen3": Family(_GGUF_SIZES, {"qk_norm": True}, _GGUF),
    "gpt2": Family(
        _GGUF_SIZES,
        {**HUGGING_FACE["gpt2"].switches, "activation": "gelu_tanh"},
        _GGUF_GPT2,
    ),
}

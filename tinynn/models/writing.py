"""What a `Transformer` is in the files of Hugging Face: the way back from `read_hugging_face`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.models.families import HUGGING_FACE
from tinynn.models.weights import named_sources
from tinynn.ops.conversion import host

if TYPE_CHECKING:
    from tinynn.models.transformer import Transformer
    from tinynn.models.transformer_config import TransformerConfig

    Array = np.ndarray[Any, Any]

_ARCHITECTURES = {
    "gpt2": "GPT2LMHeadModel",
    "llama": "LlamaForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}
_SCALINGS = ("default", "linear", "dynamic", "llama3")
_ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_pytorch_tanh", "relu": "relu", "silu": "silu"}


def to_hugging_face(model: Transformer) -> tuple[dict[str, Any], dict[str, Array]]:
    """The content of config.json and the tensors by their names, for `io.save_folder`.

    Models with learned positions are written as gpt2, those with norms of queries and keys as
    qwen3, others as llama.

    Returns the config and float32 arrays that may share the model's memory.

    Raises ValueError for a model that is none of these; it names the switch that does not fit.

    >>> from tinynn.models import Transformer, TransformerConfig
    >>> config = TransformerConfig(vocab_size=50, hidden_size=32, num_layers=1, num_heads=2)
    >>> settings, tensors = to_hugging_face(Transformer(config))
    >>> settings["model_type"], tensors["model.layers.0.self_attn.q_proj.weight"].shape
    ('llama', (32, 32))
    """
    config = model.config
    name = "gpt2" if config.learned_positions else "qwen3" if config.qk_norm else "llama"
    _check(config, name)
    settings: dict[str, Any] = {"architectures": [_ARCHITECTURES[name]], "model_type": name}
    settings["dtype"] = "float32"
    settings |= _gpt2(config) if name == "gpt2" else _llama(config)
    # Both would have defaults that are ids of other vocabularies.
    settings |= {"bos_token_id": None, "eos_token_id": None}
    return settings, _tensors(model, name)


def _check(config: TransformerConfig, family: str) -> None:
    """Raises ValueError where a family of transformers has no switch for what ours has."""
    is_gpt2 = family == "gpt2"
    expected: dict[str, Any] = {
        "gated": not is_gpt2,
        "norm": "layer" if is_gpt2 else "rms",
        "qk_norm": family == "qwen3",
        "rope_interleaved": False,
        "window": None,
        "out_bias": True if is_gpt2 else config.qkv_bias,
    }
    if is_gpt2:
        expected |= {
            "qkv_bias": True,
            "mlp_bias": True,
            "num_kv_heads": config.num_heads,
            "head_dim": config.hidden_size // config.num_heads,
        }
    if family == "qwen3":
        expected["mlp_bias"] = False
    for name, value in expected.items():
        if getattr(config, name) != value:
            raise ValueError(
                f"to_hugging_face: {name} is {getattr(config, name)!r}, but models of the family "
                f"{family} have {value!r}; such a model can't be written"
            )
    kind = (config.rope_scaling or {}).get("rope_type", "default")
    if kind not in _SCALINGS:
        raise ValueError(
            f"to_hugging_face: rope_scaling is of type {kind!r}, but models of the family {family} "
            f"know {', '.join(_SCALINGS)}; such a model can't be written"
        )


def _gpt2(config: TransformerConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "n_embd": config.hidden_size,
        "n_layer": config.num_layers,
        "n_head": config.num_heads,
        "n_inner": config.intermediate_size,
        "n_positions": config.max_positions,
        "activation_function": _ACTIVATIONS[config.activation],
        "layer_norm_epsilon": config.norm_eps,
        "tie_word_embeddings": config.tied,
        **{f"{place}_pdrop": config.dropout for place in ("embd", "attn", "resid")},
    }


def _llama(config: TransformerConfig) -> dict[str, Any]:
    scaling = dict(config.rope_scaling or {"rope_type": "default"})
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_positions,
        "hidden_act": _ACTIVATIONS[config.activation],
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": config.tied,
        "attention_bias": config.qkv_bias,
        "mlp_bias": config.mlp_bias,
        "attention_dropout": config.dropout,
        # The first is what transformers reads since version 5, the others before it.
        "rope_parameters": {**scaling, "rope_theta": config.rope_base},
        "rope_theta": config.rope_base,
        **({"rope_scaling": scaling} if config.rope_scaling else {}),
    }


def _tensors(model: Transformer, family: str) -> dict[str, Array]:
    """A tensor of a file may be several of ours side by side, and lie the other way round."""
    parameters = dict(model.named_parameters())
    parts: dict[str, list[Array]] = {}
    turned = set()
    for name, source in named_sources(parameters, {}, HUGGING_FACE[family]):
        parts.setdefault(source.name, []).append(host(parameters[name]))
        if source.change is not None and parameters[name].ndim == 2:
            turned.add(source.name)
    joined = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    return {name: array.T if name in turned else array for name, array in joined.items()}

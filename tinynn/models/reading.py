"""What a model's files say about it: its family, and the `TransformerConfig` that fits them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tinynn.models.families import FACTORS, GGUF, HUGGING_FACE, Family
from tinynn.models.own_config import MODEL_TYPE, OWN, read_own_settings
from tinynn.models.transformer_config import TransformerConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinynn.models.weights import Stored

_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
_NEEDED = ("vocab_size", "hidden_size", "num_layers", "num_heads")


def read_hugging_face(config: Mapping[str, Any]) -> tuple[Family, TransformerConfig]:
    """The family and sizes that a config.json names.

    Raises ValueError for a family that is not known, a size that is missing or impossible, and
    what this package does not compute.

    >>> sizes = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 1}
    >>> _, config = read_hugging_face({"model_type": "llama", "num_attention_heads": 2, **sizes})
    >>> config.head_dim, config.gated
    (16, True)
    """
    if config.get("model_type") == MODEL_TYPE:
        return OWN, read_own_settings(config)
    family = _family("config.json", "model_type", config, HUGGING_FACE)
    sizes = _sizes("config.json", family, config, "")
    if "activation" in sizes:
        sizes["activation"] = _activation(sizes["activation"])
    sizes |= _rope(config)
    sizes |= _windows(config, sizes)
    return family, TransformerConfig(**{"norm_eps": 1e-6, **family.switches, **sizes})


def read_gguf_config(metadata: Mapping[str, Any], tensors: Any) -> tuple[Family, TransformerConfig]:
    """The family and sizes that the metadata of a GGUF file name.

    Arguments:
        metadata: as `io.read_gguf` gives it.
        tensors: of the file, by name: without one for the output, it is tied to the embedding;
            those of `rope_freqs.weight` divide the frequencies of rotary pairs (Llama 3's do).

    Raises as `read_hugging_face`.
    """
    source = "GGUF metadata"
    family = _family(source, "general.architecture", metadata, GGUF)
    architecture = metadata["general.architecture"]
    prefix = f"{architecture}."
    known: dict[str, Any] = {"vocab_size": len(metadata.get("tokenizer.ggml.tokens", ())) or None}
    known |= _sizes(source, family, metadata, prefix, known)
    scaling = metadata.get(f"{prefix}rope.scaling.type", "none")
    if scaling not in ("none", "linear"):
        raise ValueError(f"{source}: {prefix}rope.scaling.type {scaling!r} is not supported")
    if scaling == "linear":
        factor = float(metadata[f"{prefix}rope.scaling.factor"])
        known["rope_scaling"] = {"rope_type": "linear", "factor": factor}
    has_factors = FACTORS in tensors and FACTORS in family.ignored
    if has_factors and scaling != "none":
        raise ValueError(
            f"{source}: there are both {FACTORS} and {prefix}rope.scaling.type {scaling!r}, "
            "expected one of them"
        )
    turned = metadata.get(f"{prefix}rope.dimension_count")
    known["tied"] = "output.weight" not in tensors
    config = TransformerConfig(**{**family.switches, **known})
    if turned not in (None, config.head_dim) and not config.learned_positions:
        raise ValueError(
            f"{source}: {prefix}rope.dimension_count is {turned} of heads of {config.head_dim}; "
            "only heads that are turned as a whole are supported"
        )
    if has_factors:
        scaling = {"rope_type": "factors", "factors": _factors(tensors[FACTORS], config)}
        config = replace(config, rope_scaling=scaling)
    return family, config


def _factors(tensor: Stored, config: TransformerConfig) -> list[float]:
    """The numbers of a small tensor; its shape is looked at before it is read."""
    expected = (config.head_dim // 2,)
    if tuple(tensor.shape) != expected:
        raise ValueError(
            f"GGUF metadata: {FACTORS} is {tuple(tensor.shape)}, expected {expected}, a number for "
            "each rotary pair"
        )
    return [float(factor) for factor in tensor.float32()]


def _family(
    source: str, key: str, values: Mapping[str, Any], known: Mapping[str, Family]
) -> Family:
    name = values.get(key)
    if not isinstance(name, str) or name not in known:
        raise ValueError(
            f"{source}: {key} {name!r} is not a family that is known here; known are "
            f"{', '.join(known)}"
        )
    return known[name]


def _sizes(
    source: str,
    family: Family,
    values: Mapping[str, Any],
    prefix: str,
    known: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """{our name: value} of what is there; null counts as not there."""
    sizes = dict(known or {})
    for ours, theirs in family.sizes.items():
        found = [values[prefix + name] for name in theirs if values.get(prefix + name) is not None]
        if found:
            sizes[ours] = found[0]
    for name in _NEEDED:
        if sizes.get(name) is None:
            raise ValueError(f"{source}: {prefix}{family.sizes[name][0]} is missing")
    return sizes


def _activation(name: Any) -> str:
    if name not in _ACTIVATIONS:
        raise ValueError(
            f"config.json: activation {name!r} is not known; known are {', '.join(_ACTIVATIONS)}"
        )
    return _ACTIVATIONS[name]


def _rope(config: Mapping[str, Any]) -> dict[str, Any]:
    """Older files have rope_theta and rope_scaling, newer ones rope_parameters for both."""
    given = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not isinstance(given, dict):
        raise ValueError(f"config.json: rope_parameters must be an object, got {given!r}")
    scaling = dict(given)
    base = scaling.pop("rope_theta", config.get("rope_theta", 10000.0))
    share = scaling.pop("partial_rotary_factor", config.get("partial_rotary_factor", 1.0))
    if share != 1.0:
        raise ValueError(f"config.json: partial_rotary_factor {share} is not supported, only 1")
    if not isinstance(base, int | float) or not base > 0:
        raise ValueError(f"config.json: rope_theta must be a number above 0, got {base!r}")
    kind = scaling.setdefault("rope_type", scaling.pop("type", "default"))
    if kind == "dynamic":
        original = config.get("max_position_embeddings")
        scaling.setdefault("original_max_position_embeddings", original)
    plain = kind == "default"
    return {"rope_base": float(base), "rope_scaling": None if plain else scaling}


def _windows(config: Mapping[str, Any], sizes: Mapping[str, Any]) -> dict[str, Any]:
    """A window is for all layers, or for those from one on."""
    if config.get("use_sliding_window") is False or sizes.get("window") is None:
        return {"window": None}
    first = 0
    if config.get("use_sliding_window"):
        first = config.get("max_window_layers", 0)
    kinds = config.get("layer_types")
    if kinds:
        has = [kind == "sliding_attention" for kind in kinds]
        first = has.index(True) if any(has) else len(has)
        if not all(has[first:]):
            raise ValueError(
                "config.json: layer_types has full attention behind sliding_attention, which is "
                "not supported"
            )
    return {"window_from": first}

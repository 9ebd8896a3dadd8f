"""The config.json of models that no family of transformers is: this package's own settings.

Such are models with quantized weights, and those of GGUF files whose rotary pairs lie side by side.
The settings are the fields of `TransformerConfig`, the tensors have the names of the parameters.
A `model_type` of its own keeps other programs from reading them as something else.
"""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from tinynn.models.families import HUGGING_FACE, Family, Source
from tinynn.models.transformer_config import TransformerConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

MODEL_TYPE = "tinynn"

# The names of a file are ours, which the other families' tables have on their left.
OWN = Family(
    {},
    {},
    {ours: Source(ours) for family in HUGGING_FACE.values() for ours in family.names},
)


def own_settings(config: TransformerConfig) -> dict[str, Any]:
    """The content of config.json.

    >>> config = TransformerConfig(vocab_size=65, hidden_size=128, num_layers=4, num_heads=4)
    >>> read_own_settings(own_settings(config)) == config
    True
    """
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    if config.rope_scaling is not None:
        values["rope_scaling"] = dict(config.rope_scaling)
    return {"model_type": MODEL_TYPE, **values}


def read_own_settings(settings: Mapping[str, Any]) -> TransformerConfig:
    """The way back; raises ValueError that names the setting that is missing or wrong."""
    values = {}
    for field in fields(TransformerConfig):
        if field.name not in settings:
            raise ValueError(f"config.json: {field.name} is missing")
        value = settings[field.name]
        expected, is_right = _KINDS.get(str(field.type), (None, None))
        if is_right is not None and not is_right(value):
            raise ValueError(f"config.json: {field.name} is {value!r:.40}, expected {expected}")
        values[field.name] = value
    try:
        return TransformerConfig(**values)
    except ValueError as error:
        raise ValueError(f"config.json: {error}") from None


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return (_is_whole(value) or isinstance(value, float)) and value >= 0 and math.isfinite(value)


# By the annotation of a field; sizes are checked by the config itself.
_KINDS: dict[str, tuple[str, Any]] = {
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "float": ("a number of at least 0", _is_number),
    "int": ("a whole number of at least 0", lambda value: _is_whole(value) and value >= 0),
    "int | None": ("a whole number or null", lambda value: value is None or _is_whole(value)),
    "Mapping[str, Any] | None": (
        "an object or null",
        lambda value: value is None or isinstance(value, dict),
    ),
}

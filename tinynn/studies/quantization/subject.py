"""The model that is examined, and the passages that it is judged by."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tinynn.generation import PUBLISHED, load, pull
from tinynn.io import read_gguf
from tinynn.models import Transformer
from tinynn.quant import STORED, quantize
from tinynn.studies.quantization import networks
from tinynn.studies.quantization.settings import EXACT, ROUNDED, TRAINED, Settings
from tinynn.studies.shared.workers import Place

__all__ = ["Subject", "encoded", "formats_of", "passages", "subject_of"]

Array = np.ndarray[Any, Any]

# A token of a vocabulary of many thousands is seldom longer, in characters.
CHARACTERS = 8


class Subject(NamedTuple):
    """A model and its text.

    Attributes:
        title: its name.
        kinds: how many matrices of its file have which type; empty for a network trained here.
        windows: [number, tokens + 1] ids.
        model: `model(format, activations)` gives it in a format, EXACT and STORED included.
    """

    title: str
    kinds: dict[str, int]
    windows: Array
    model: Callable[[str, str], Any]


def formats_of(settings: Settings) -> list[str]:
    """Those that the model is measured in, from the largest to the smallest in their kind."""
    stored = [] if settings.model == TRAINED else [STORED]
    return [EXACT, *ROUNDED, *stored]


@lru_cache(maxsize=1)
def subject_of(place: Place, settings: Settings, seed: int) -> Subject:
    """What is examined; fetched, or trained, if need be.

    Raises RuntimeError where the model cannot be fetched; the message tells another way.
    """
    if settings.model == TRAINED:
        return _trained(place, settings, seed)
    try:
        file = read_gguf(pull(settings.model))
    except RuntimeError as error:
        raise RuntimeError(
            f"{error}; or run it with --quick, which examines a network trained here instead"
        ) from None
    kinds: dict[str, int] = {}
    for stored in file.tensors.values():
        if len(stored.shape) == 2:
            kinds[stored.type] = kinds.get(stored.type, 0) + 1

    def model(format: str, activations: str = "int8") -> Any:
        if format == STORED or (format != EXACT and activations == "int8"):
            return load(settings.model, format)
        exact = load(settings.model)
        return exact if format == EXACT else quantize(exact, format, activations)

    tokenizer = load(settings.model, STORED).tokenizer
    # The last two passages are for single layers.
    windows = encoded(tokenizer, networks.text_of(place), settings.windows + 2, settings.window)
    title = PUBLISHED[settings.model].title.partition(" ")[0]
    return Subject(title, kinds, windows, model)


def _trained(place: Place, settings: Settings, seed: int) -> Subject:
    task = networks.Task(settings, max(settings.widths), seed)
    exact, windows = networks.train(place, task)
    state = {name: parameter.data.copy() for name, parameter in exact.named_parameters()}

    def model(format: str, activations: str = "int8") -> Any:
        fresh = Transformer(exact.config).eval()
        for name, parameter in fresh.named_parameters():
            parameter.data[...] = state[name]
        return fresh if format == EXACT else quantize(fresh, format, activations)

    chosen = np.linspace(0, len(windows) - 1, settings.windows + 2).astype(int)
    title = f"a network of width {task.width} trained here"
    return Subject(title, {}, windows[chosen], model)


def encoded(tokenizer: Any, text: str, count: int, length: int) -> Array:
    """Passages of a text, [count, length + 1] ids; ValueError where it is too short."""
    parts = passages(text, count, CHARACTERS * length)
    rows = [tokenizer.encode(part)[: length + 1] for part in parts]
    short = min(map(len, rows))
    if short <= length or len(text) < count * len(parts[0]):
        raise ValueError(
            f"quantization: a text of {len(text):,} characters is too short for {count} passages "
            f"of {length} tokens each; give a longer one: --data FILE"
        )
    return np.array(rows, np.int64)


def passages(text: str, count: int, length: int) -> list[str]:
    """Pieces of a text, evenly spread, from the beginning of a line.

    >>> passages("one\\ntwo\\nthree\\nfour\\n", 2, 6)
    ['one\\ntw', 'four\\n']
    """
    found = []
    for place in np.linspace(0, max(0, len(text) - length), count).astype(int).tolist():
        start = text.rfind("\n", 0, place + 1) + 1 if place else 0
        found.append(text[start : start + length])
    return found

"""Two sizes of a network that are trained here on characters, each exact and in every format."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinynn.backend.random import manual_seed
from tinynn.data import SHAKESPEARE, TokenBatches, TokenWindows, load_text
from tinynn.models import Transformer
from tinynn.quant import FORMATS, quantize
from tinynn.studies.quantization.losses import losses_of, weight_bytes
from tinynn.studies.quantization.settings import EXACT, Settings
from tinynn.studies.shared.workers import Place
from tinynn.training.gpt import split_tokens
from tinynn.training.progress import SilentProgress
from tinynn.training.text_recipe import TextRecipe
from tinynn.training.vocabulary import Characters

__all__ = ["Task", "Trained", "examine", "text_of", "train"]

Array = np.ndarray[Any, Any]

HEAD_DIM = 32
JUDGED_AT_ONCE = 50


class Task(NamedTuple):
    """A network to be trained and examined."""

    settings: Settings
    width: int
    seed: int


class Trained(NamedTuple):
    """A network, and windows of text that it has not seen, [number, context + 1]."""

    model: Transformer
    windows: Array


def text_of(place: Place) -> str:
    """Shakespeare, or the text that was given."""
    try:
        return load_text(SHAKESPEARE if place.data is None else place.data)
    except IsADirectoryError:
        raise ValueError(
            f"quantization: --data {place.data} is a folder, expected a text"
        ) from None


def train(place: Place, task: Task) -> Trained:
    """The network, its text's last tenth being held back."""
    settings = task.settings
    text = text_of(place)
    (tokens,) = [np.concatenate(list(Characters.of(text).encode(text)))]
    learned, unseen = split_tokens(tokens)
    recipe = TextRecipe(
        layers=settings.layers,
        heads=task.width // HEAD_DIM,
        width=task.width,
        context=settings.context,
        batch_size=settings.batch_size,
        steps=settings.steps,
        warmup=settings.steps // 20,
        lr=settings.rate,
        seed=task.seed,
    )
    manual_seed(task.seed)
    model = recipe.make_model(int(tokens.max()) + 1)
    batches = TokenBatches(
        learned, settings.context, settings.batch_size, settings.steps, task.seed
    )
    recipe.make_trainer(model, progress=SilentProgress()).fit(batches, 1)
    judges = TokenWindows(unseen, settings.context, settings.judged, JUDGED_AT_ONCE)
    windows = [unseen[place : place + settings.context + 1] for place in judges.places]
    return Trained(model.eval(), np.array(windows, np.int64))


def examine(place: Place, task: Task) -> dict[str, dict[str, float]]:
    """The loss (nats a character) on text that was held back, and the bytes, by format."""
    model, windows = train(place, task)
    state = {name: parameter.data.copy() for name, parameter in model.named_parameters()}
    found = {EXACT: _figures(model, windows)}
    for format in FORMATS:
        again = Transformer(model.config)
        for name, parameter in again.named_parameters():
            parameter.data[...] = state[name]
        found[format] = _figures(quantize(again.eval(), format), windows)
    return found


def _figures(model: Any, windows: Array) -> dict[str, float]:
    loss = float(np.mean(losses_of(model, windows, JUDGED_AT_ONCE)))
    return {"loss": loss, "bytes": float(weight_bytes(model))}

"""How much is run, and what is tried against overfitting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from tinynn.training.recipe import Recipe

__all__ = ["FEWER", "FIVE", "MORE", "NONE", "REMEDIES", "Remedy", "Settings", "changes", "recipe"]


@dataclass(frozen=True)
class Settings:
    """How much is run. The strengths of the remedies are the best of a short search for each alone.

    Arguments:
        images: of a training set; fewer where there are too few for `sets` disjoint ones.
        sets: training sets, without a common image; a training for each.
        noise: the share of wrong labels in the main case.
        widths: units of the first hidden layer; the second has half as many.
        other_noises, other_widths: cases to compare with, on the same images.
        all_...: of the case with all images, each labelled rightly.
        memorised: the training accuracy from which a training set counts as memorised.
        more: how many times as many images "more images" are.
        watched: validation images that tell when to stop.
        patience: of early stopping, epochs.
        weaker: the share of their strength at which remedies are put together, besides all of it.
    """

    images: int = 4000
    sets: int = 4
    noise: float = 0.4
    widths: tuple[int, ...] = (8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512, 1024, 2048)
    other_noises: tuple[float, ...] = (0.0, 0.2)
    other_widths: tuple[int, ...] = (8, 16, 32, 64, 128, 512)
    all_widths: tuple[int, ...] = (8, 32, 128, 512, 2048)
    all_runs: int = 2
    all_epochs: int = 3
    epochs: int = 40
    batch_size: int = 200
    lr: float = 0.1
    momentum: float = 0.9
    memorised: float = 0.99
    more: int = 3
    watched: int = 500
    weight_decay: float = 0.03
    dropout: float = 0.5
    label_smoothing: float = 0.8
    patience: int = 8
    weaker: float = 0.25
    timing_rounds: int = 9


def recipe(settings: Settings, width: int, **choices: Any) -> Recipe:
    """How a network of a width is trained; SGD, with a cosine schedule."""
    defaults: dict[str, Any] = {
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "lr": settings.lr,
        "momentum": settings.momentum,
        "hidden": (width, max(1, width // 2)),
    }
    return Recipe(**defaults | choices)


class Remedy(NamedTuple):
    """What is done about overfitting."""

    parts: tuple[str, ...] = ()
    """Names in `changes`."""
    is_weaker: bool = False
    """Whether their strengths are only the share `Settings.weaker`."""
    has_more_images: bool = False


FIVE = ("weight decay", "dropout", "label smoothing", "augmentation", "early stopping")
NONE = "no remedy"
REMEDIES = {
    NONE: Remedy(),
    **{name: Remedy((name,)) for name in FIVE},
    "more images": Remedy(has_more_images=True),
    "all five": Remedy(FIVE),
    "all five, weaker": Remedy(FIVE, is_weaker=True),
    "all five, weaker, more images": Remedy(FIVE, is_weaker=True, has_more_images=True),
}
# Other widths, which are compared with the remedies.
FEWER, MORE = "fewer neurons", "more neurons"


def changes(settings: Settings, remedy: Remedy) -> dict[str, Any]:
    """What a remedy changes in the recipe."""
    factor = settings.weaker if remedy.is_weaker else 1.0
    choices: dict[str, dict[str, Any]] = {
        "weight decay": {"weight_decay": factor * settings.weight_decay},
        "dropout": {"dropout": factor * settings.dropout},
        "label smoothing": {"label_smoothing": factor * settings.label_smoothing},
        "augmentation": {"augment": True},
        "early stopping": {"early_stopping": settings.patience},
    }
    changed: dict[str, Any] = {}
    for name in remedy.parts:
        changed |= choices[name]
    return changed

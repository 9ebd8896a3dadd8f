"""Which trainings there are: by width, and with the remedies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from tinynn.studies.overfitting.bias_variance import decompose
from tinynn.studies.overfitting.runs import Outcome, Run, Sizes, run_one
from tinynn.studies.overfitting.settings import REMEDIES, Remedy, Settings, changes, recipe
from tinynn.studies.shared.training import load_digits
from tinynn.studies.shared.workers import Workers

__all__ = ["ALL", "MAIN", "Case", "cases", "remedy_run", "run_cases", "run_remedies"]

Key = TypeVar("Key")

MAIN, ALL = "main", "all images"


class Case(NamedTuple):
    """Networks of several widths, trained in one way."""

    noise: float
    """The share of wrong labels."""
    widths: Sequence[int]
    has_all_images: bool = False


def cases(settings: Settings) -> dict[str, Case]:
    """By name; the first is the main one."""
    others = {
        f"noise {share:g}": Case(share, settings.other_widths) for share in settings.other_noises
    }
    return {
        MAIN: Case(settings.noise, settings.widths),
        **others,
        ALL: Case(0.0, settings.all_widths, has_all_images=True),
    }


def case_run(
    settings: Settings, seed: int, sizes: Sizes, case: Case, width: int, number: int
) -> Run:
    if case.has_all_images:
        chosen = recipe(settings, width, epochs=settings.all_epochs, seed=seed + number)
        return Run(chosen, case.noise, None, sizes.train, sizes, seed)
    chosen = recipe(settings, width, seed=seed + number)
    return Run(chosen, case.noise, number, sizes.set, sizes, seed)


def remedy_run(
    settings: Settings, seed: int, sizes: Sizes, remedy: Remedy, width: int, number: int
) -> Run:
    chosen = recipe(settings, width, seed=seed + number, **changes(settings, remedy))
    images = sizes.more if remedy.has_more_images else sizes.set
    return Run(chosen, settings.noise, number, images, sizes, seed)


def run_cases(
    settings: Settings, seed: int, sizes: Sizes, workers: Workers
) -> dict[str, dict[str, Any]]:
    """For each case and width the runs, and where they are of several sets, bias and variance."""
    planned = {
        (name, width, number): case_run(settings, seed, sizes, case, width, number)
        for name, case in cases(settings).items()
        for width in case.widths
        for number in range(settings.all_runs if case.has_all_images else settings.sets)
    }
    done = carry_out("trainings by width", planned, workers)
    labels = load_digits(workers.place, seed).validation.labels
    found: dict[str, dict[str, Any]] = {}
    for name, case in cases(settings).items():
        found[name] = {"noise": case.noise, "runs": {}, "decompositions": {}}
        for width in case.widths:
            outcomes = [done[key] for key in planned if key[:2] == (name, width)]
            found[name]["runs"][str(width)] = [outcome.numbers for outcome in outcomes]
            if not case.has_all_images:
                stacked = np.stack([outcome.probabilities for outcome in outcomes])
                parts = decompose(stacked, labels)
                found[name]["decompositions"][str(width)] = parts._asdict()
    return found


def run_remedies(
    settings: Settings, seed: int, sizes: Sizes, width: int, workers: Workers
) -> dict[str, list[dict[str, Any]]]:
    """The runs of one width with each remedy."""
    planned = {
        (name, number): remedy_run(settings, seed, sizes, remedy, width, number)
        for name, remedy in REMEDIES.items()
        for number in range(settings.sets)
    }
    done = carry_out("remedies", planned, workers)
    return {
        name: [done[name, number].numbers for number in range(settings.sets)] for name in REMEDIES
    }


def carry_out(title: str, planned: dict[Key, Run], workers: Workers) -> dict[Key, Outcome]:
    """The outcomes of planned runs; the longest are begun with."""
    keys = sorted(planned, key=lambda key: -planned[key].cost)
    outcomes = workers.map(title, run_one, [planned[key] for key in keys])
    return dict(zip(keys, outcomes, strict=True))

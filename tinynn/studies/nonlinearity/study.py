"""The study `nonlinearity`: its question, how much is run, and all of its runs."""

from __future__ import annotations

import math
from typing import Any

from tinynn.studies.nonlinearity.explanation import why
from tinynn.studies.nonlinearity.figures import draw
from tinynn.studies.nonlinearity.findings import answer, ran, seen
from tinynn.studies.nonlinearity.networks import DEEP, FLAT, NETWORKS, Settings, recipe
from tinynn.studies.nonlinearity.plane import run_plane
from tinynn.studies.nonlinearity.runs import best_rate, run_all, search_rates, time_networks
from tinynn.studies.shared.study import Study
from tinynn.studies.shared.training import load_digits, new_network
from tinynn.studies.shared.workers import Place, Workers

__all__ = ["STUDY"]

QUESTION = """
The feed-forward block of a network is a linear layer, an activation such as ReLU, and a linear
layer again. All that is trained is in the linear layers. Is the activation, the non-linearity
between them, needed, or would leaving it out only save time?
"""

QUICK = Settings(
    limit=6000,
    hidden=(64, 32),
    epochs=3,
    runs=2,
    rates=(0.03, 0.1, 0.3, 1.0, 3.0),
    search_epochs=1,
    timed_batches=(64,),
    timing_sets=4,
    timing_rounds=7,
    plane_steps=300,
    plane_rates=(0.03, 0.1),
)


def measure(settings: Settings, seed: int, workers: Workers) -> dict[str, Any]:
    searched = search_rates(settings, seed, workers)
    rates = {name: best_rate(row) for name, row in searched.items()}
    timings = time_networks(settings, seed, workers.place)
    return {
        **describe(settings, seed, workers.place),
        "search": searched,
        "runs": run_all(settings, seed, rates, workers),
        "plane": run_plane(settings, seed, workers),
        "timings": timings,
    }


def describe(settings: Settings, seed: int, place: Place) -> dict[str, Any]:
    """The sizes of data and networks."""
    parts = load_digits(place, seed, settings.limit)
    counts = {
        name: sum(parameter.data.size for parameter in network.parameters())
        for name in NETWORKS
        for network in [new_network(recipe(settings, name), parts.train, place)]
    }
    height, width = parts.train.images.shape[1:]
    return {
        "images": {name: len(part) for name, part in parts._asdict().items()},
        "inputs": height * width,
        "classes": len(parts.train.classes),
        "parameters": counts,
        "parameter_ratio": round(counts[DEEP] / counts[FLAT]),
        "steps_per_epoch": math.ceil(len(parts.train) / settings.batch_size),
    }


STUDY = Study(
    name="nonlinearity",
    summary="Is an activation between layers needed, or would leaving it out save time?",
    question=QUESTION,
    full=Settings(),
    quick=QUICK,
    measure=measure,
    draw=draw,
    answer=answer,
    ran=ran,
    seen=seen,
    why=why,
)

"""Results of a study that never ran, for the words to choose by."""

from __future__ import annotations

from dataclasses import asdict

from tinynn.studies.nonlinearity.networks import DEEP, FLAT, NETWORKS, Settings
from tinynn.studies.shared.study import Results

SETTINGS = Settings(
    limit=600,
    hidden=(12, 11),
    epochs=4,
    runs=2,
    rates=(0.1, 0.3, 1.0),
    search_epochs=1,
    timed_batches=(32, 64),
    timing_sets=3,
    timing_rounds=5,
    plane_hidden=(6,),
    plane_points=60,
    plane_steps=30,
    plane_rates=(0.001, 0.05),
)
AREAS = ["0" * 80 + "1" * 80 + "2" * 80] * 240


def training(name, accuracy):
    """One training of a network, with what is expected of it."""
    agreement = {
        "difference": 1.5e-5,
        "bound": 3.5e-2,
        "share_of_bound": 4.5e-4,
        "changed": 0,
        "changed_margin": 0.0,
    }
    collapse = {
        "typical_output": 4.25,
        "narrowest_margin": 2.5e-4,
        "float32": agreement,
        "float64": {**agreement, "difference": 1.5e-14},
    }
    is_linear = name in (FLAT, DEEP)
    return {
        "train_loss": [0.75, 0.25],
        "validation_loss": [0.625, 0.375],
        "validation_accuracy": [0.875, 0.9],
        "test_accuracy": accuracy,
        "test_loss": 0.3125,
        "first_gradients": [0.5] if name == FLAT else [0.5, 0.25, 0.125],
        "departure": 2.5e-7 if is_linear else 0.375,
        "pieces": 200 if name == "ReLU" else None,
        "collapse": collapse if name == DEEP else None,
    }


def expected_results(accuracies=None, **measured):
    """Results with every effect that one would expect, and what is given in its place.

    Arguments:
        accuracies: of the trainings, by network.
        measured: replaces entries of the same name.
    """
    found = {name: [0.92, 0.922] if name in (FLAT, DEEP) else [0.98, 0.982] for name in NETWORKS}
    found |= accuracies or {}
    times = dict.fromkeys(NETWORKS, 4e-4) | {FLAT: 1e-4, DEEP: 3e-4}
    sets = [{name: [seconds] * 5 for name, seconds in times.items()}] * 3
    plane = {"loss": 0.01, "accuracy": 0.99, "areas": AREAS, "pieces": 1, "borders": None}
    linear = {**plane, "loss": 0.8, "accuracy": 0.54}
    relu = {**plane, "pieces": 123, "borders": ["01" * 120] * 240}
    values = {
        "images": {"train": 300, "validation": 100, "test": 200},
        "inputs": 784,
        "classes": 10,
        "parameters": {name: 7850 if name == FLAT else 9683 for name in NETWORKS},
        "parameter_ratio": 1,
        "steps_per_epoch": 5,
        "search": {name: {"0.1": 0.8, "0.3": 0.9, "1": None} for name in NETWORKS},
        "runs": {name: [training(name, value) for value in found[name]] for name in NETWORKS},
        "plane": dict.fromkeys(NETWORKS, plane) | {FLAT: linear, DEEP: linear, "ReLU": relu},
        "timings": {
            "threads": 1,
            "training": {"32": sets, "64": sets},
            "inference": {"32": sets, "64": sets},
        },
    }
    return Results(asdict(SETTINGS), values | measured, {"seed": 0})


def with_seconds(name, *sets, batches=("32", "64")):
    """Timings in which a network takes other times: the seconds of each round, set by set."""
    timings = expected_results().measured["timings"]
    for kind in ("training", "inference"):
        timings[kind] |= {
            batch: [
                before | {name: seconds}
                for before, seconds in zip(timings[kind][batch], sets, strict=True)
            ]
            for batch in batches
        }
    return timings


def with_collapse(**changes):
    """Trainings in which the deep linear network and its one matrix compare otherwise."""
    runs = expected_results().measured["runs"]
    changed = []
    for run in runs[DEEP]:
        collapse = run["collapse"] | {"float32": run["collapse"]["float32"] | changes}
        changed.append(run | {"collapse": collapse})
    return runs | {DEEP: changed}

"""The study `overfitting`: its question, how much is run, and all of its runs."""

from __future__ import annotations

from typing import Any

from tinynn.backend.threads import get_num_threads
from tinynn.studies.overfitting.explanation import why
from tinynn.studies.overfitting.figures import draw
from tinynn.studies.overfitting.findings import answer, ran, seen
from tinynn.studies.overfitting.plan import MAIN, cases, run_cases, run_remedies
from tinynn.studies.overfitting.runs import sizes
from tinynn.studies.overfitting.settings import Settings, recipe
from tinynn.studies.overfitting.timings import time_epochs
from tinynn.studies.overfitting.view import greatest_fall
from tinynn.studies.shared.study import Study
from tinynn.studies.shared.training import load_digits, new_network
from tinynn.studies.shared.workers import Place, Workers

__all__ = ["STUDY"]

QUESTION = """
A network recognises too few digits, so somebody gives its hidden layers more neurons. The training
images are now recognised better, and the validation images worse. Why do more neurons hurt? Do they
always? And what helps, at which price?
"""

QUICK = Settings(
    images=1500,
    sets=2,
    widths=(8, 16, 48, 256),
    other_noises=(0.0,),
    other_widths=(8, 48, 256),
    all_widths=(8, 48),
    all_epochs=1,
    epochs=25,
    batch_size=75,
    more=2,
    timing_rounds=3,
)


def measure(settings: Settings, seed: int, workers: Workers) -> dict[str, Any]:
    found = sizes(settings, seed, workers.place)
    by_case = run_cases(settings, seed, found, workers)
    accuracies = {
        int(width): [run["validation_accuracy"] for run in runs]
        for width, runs in by_case[MAIN]["runs"].items()
    }
    fewer, worst, _ = greatest_fall(accuracies)
    widths = (fewer, worst, max(accuracies))
    return {
        "sizes": found._asdict(),
        "classes": len(load_digits(workers.place, seed).validation.classes),
        "parameters": count_parameters(settings, seed, workers.place),
        "cases": by_case,
        "widths": widths,
        "remedies": run_remedies(settings, seed, found, worst, workers),
        "seconds": time_epochs(settings, seed, found, widths, workers.place),
        "threads": get_num_threads(),
    }


def count_parameters(settings: Settings, seed: int, place: Place) -> dict[str, int]:
    """Of the network of each width."""
    dataset = load_digits(place, seed).train
    widths = sorted({width for case in cases(settings).values() for width in case.widths})
    return {
        str(width): sum(
            parameter.numel()
            for parameter in new_network(recipe(settings, width), dataset, place).parameters()
        )
        for width in widths
    }


STUDY = Study(
    name="overfitting",
    summary="Why more neurons can make validation worse, when they do not, and what helps",
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

"""The study `where-time-goes`: its question, how much is measured, and all of its measurements."""

from __future__ import annotations

from typing import Any

from tinynn.models import CNN, MLP
from tinynn.studies.shared.study import Study
from tinynn.studies.shared.training import load_digits
from tinynn.studies.shared.workers import Workers
from tinynn.studies.where_time_goes.explanation import why
from tinynn.studies.where_time_goes.figures import draw
from tinynn.studies.where_time_goes.findings import answer, ran, seen
from tinynn.studies.where_time_goes.runs import GIVEN_BACK, Task, take_apart
from tinynn.studies.where_time_goes.steps import NETWORKS, Settings

__all__ = ["STUDY"]

QUESTION = """
A training step is mostly matrix products, one should think: forward, and two for each on the way
back. How much of its time do they really take, and what takes the rest: the arithmetic element by
element, the optimizer, memory for results, or Python and the tape? How does that change with the
number of images in a step? And what does `tn.compile` do away with?
"""

QUICK = Settings(mlp_batches=(16, 256), cnn_batches=(16,), shown=16, sets=2, seconds=0.05, turns=5)


def measure(settings: Settings, seed: int, workers: Workers) -> dict[str, Any]:
    if workers.place.device != "cpu":
        raise ValueError(
            "where-time-goes: it takes apart what the processor does; run it with --device cpu"
        )
    dataset = load_digits(workers.place, seed).train
    # A disturbance from outside meets all steps of one set rather than all sets of one step.
    chosen = [
        (network, batch)
        for _ in range(settings.sets)
        for network in NETWORKS
        for batch in settings.batches(network)
    ]
    tasks = [
        Task(network, *dataset[[n % len(dataset) for n in range(batch)]], seed, settings)
        for network, batch in chosen
    ]
    done = workers.map("steps taken apart", take_apart, tasks, alone=True)
    steps: dict[str, dict[str, Any]] = {network: {} for network in NETWORKS}
    for (network, batch), result in zip(chosen, done, strict=True):
        found = steps[network].setdefault(str(batch), {"sets": [], "plan": result["plan"]})
        found["sets"].append(result["set"])
    return {
        "given_back_bytes": GIVEN_BACK,
        "layers": {
            name: " - ".join(map(str, model.sizes))
            for name, model in (("MLP", MLP()), ("CNN", CNN()))
        },
        "steps": steps,
    }


STUDY = Study(
    name="where-time-goes",
    summary="Where the time of a training step goes, and what tn.compile saves of it",
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

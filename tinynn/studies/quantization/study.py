"""The study `quantization`: its question, how much is run, and all of its runs."""

from __future__ import annotations

from typing import Any

from tinynn.studies.quantization.explanation import why
from tinynn.studies.quantization.figures import draw
from tinynn.studies.quantization.findings import answer, ran, seen
from tinynn.studies.quantization.runs import run_all
from tinynn.studies.quantization.settings import TRAINED, Settings
from tinynn.studies.shared.study import Study

__all__ = ["STUDY"]

QUESTION = """
The weights of a language model can be kept in 16, 8 or 4 bits instead of 32. What does that save in
memory and time, and what is lost of what the model knows? A larger model fits in the same memory
then: does it answer better? Which layers suffer from coarse weights, and are outliers the cause,
the few numbers that are far larger than all others?
"""

QUICK = Settings(
    model=TRAINED,
    windows=8,
    window=32,
    probed=32,
    prompt=16,
    written=8,
    rounds=3,
    widths=(32, 64),
    layers=2,
    context=32,
    batch_size=16,
    steps=150,
    rate=3e-3,
    runs=2,
    judged=60,
)


def measure(settings: Settings, seed: int, workers: Any) -> dict[str, Any]:
    if workers.place.device != "cpu":
        raise ValueError("quantization: it times the processor; run it with --device cpu")
    return run_all(settings, seed, workers)


STUDY = Study(
    name="quantization",
    summary="What few bits a weight save, and what they cost a language model",
    question=QUESTION,
    full=Settings(),
    quick=QUICK,
    measure=measure,
    draw=draw,
    answer=answer,
    ran=ran,
    seen=seen,
    why=why,
    data="Shakespeare",
)

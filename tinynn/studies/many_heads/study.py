"""The study `many-heads`: its question, how much is run, and all of its runs."""

from __future__ import annotations

from typing import Any

from tinynn.studies.many_heads.explanation import why
from tinynn.studies.many_heads.figures import draw
from tinynn.studies.many_heads.findings import answer, ran, seen
from tinynn.studies.many_heads.runs import run_all
from tinynn.studies.many_heads.task import Network, Settings, expected
from tinynn.studies.many_heads.timings import time_heads
from tinynn.studies.many_heads.view import LINEAR
from tinynn.studies.shared.study import Study
from tinynn.studies.shared.workers import Workers

__all__ = ["STUDY"]

QUESTION = """
An attention layer divides its width among several heads, each of which looks for something of its
own. One head of the whole width would have the same parameters and take the same multiplications.
What are several good for, and what do they cost?
"""

QUICK = Settings(
    persons=6,
    relations=2,
    colours=4,
    width=16,
    heads=(1, 2),
    steps=60,
    batch_size=16,
    rates=(0.01,),
    runs=2,
    test_rows=32,
    timed_width=64,
    prefill_tokens=32,
    decode_context=64,
    timing_sets=2,
    timing_rounds=3,
)


def measure(settings: Settings, seed: int, workers: Workers) -> dict[str, Any]:
    validation, runs = run_all(settings, seed, workers)
    workers.say("timing attention by number of heads")
    network = Network(settings, min(settings.heads), LINEAR)
    return {
        "parameters": sum(parameter.data.size for parameter in network.parameters()),
        "expected": {str(heads): expected(settings, heads) for heads in settings.heads},
        "validation": validation,
        "runs": runs,
        "timings": time_heads(settings, seed, workers.place),
    }


STUDY = Study(
    name="many-heads",
    summary="Why attention has several heads, and what they cost the kernels",
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

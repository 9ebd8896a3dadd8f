"""The study `kv-cache`: its question, how much is run, and all of its runs."""

from __future__ import annotations

from typing import Any

from tinynn.studies.kv_cache.explanation import why
from tinynn.studies.kv_cache.figures import draw
from tinynn.studies.kv_cache.findings import answer, ran, seen
from tinynn.studies.kv_cache.runs import Task, run
from tinynn.studies.kv_cache.task import Settings
from tinynn.studies.shared.study import Study
from tinynn.studies.shared.workers import Workers

__all__ = ["STUDY"]

QUESTION = """
A language model writes word by word, and each word comes of all those before it. Does it have to
read them all again for each word? Keys and values can be kept: what does that save, by the length
of the text, what does it cost in memory, and are the words the same? And what if only the last
words are kept?
"""

QUICK = Settings(
    width=64,
    heads=2,
    steps=40,
    batch_size=8,
    trained_words=48,
    rate=0.01,
    generated=12,
    lengths=(16, 64, 160),
    window=32,
    rounds=3,
    seconds=0.01,
)


def measure(settings: Settings, seed: int, workers: Workers) -> dict[str, Any]:
    if workers.place.device != "cpu":
        raise ValueError("kv-cache: it measures memory of the processor; run it with --device cpu")
    (result,) = workers.map("a network trained and timed", run, [Task(settings, seed)])
    return result


STUDY = Study(
    name="kv-cache",
    summary="What a cache of keys and values saves, by the length of the text",
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

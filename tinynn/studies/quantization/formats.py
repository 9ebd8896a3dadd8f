"""The whole model in each format: what it foretells, what it takes, how fast it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinynn.backend.machine import usable_cores
from tinynn.backend.threads import get_num_threads, set_num_threads
from tinynn.backend.timing import in_turn, seconds_per_call
from tinynn.generation.steps import Steps
from tinynn.inference import KVCache
from tinynn.studies.quantization.losses import losses_of, weight_bytes
from tinynn.studies.quantization.settings import Settings
from tinynn.studies.quantization.subject import formats_of, subject_of
from tinynn.studies.shared.workers import Place

__all__ = ["FormatTask", "SpeedTask", "measure_format", "measure_speed"]

MANY = 10**9  # steps that follow: a recording of them is worth while


class FormatTask(NamedTuple):
    """A format to be judged, with what inputs of layers are rounded to."""

    settings: Settings
    seed: int
    format: str
    activations: str = "int8"


class SpeedTask(NamedTuple):
    """All formats to be timed."""

    settings: Settings
    seed: int


def measure_format(place: Place, task: FormatTask) -> dict[str, Any]:
    """The loss of each passage (nats a token), and the bytes of the weights."""
    subject = subject_of(place, task.settings, task.seed)
    model = subject.model(task.format, task.activations)
    return {
        "losses": losses_of(model, subject.windows[:-2]),
        "bytes": float(weight_bytes(model)),
    }


def measure_speed(place: Place, task: SpeedTask) -> dict[str, Any]:
    """Seconds of reading a prompt and of writing a text, by format and round, on all cores."""
    settings = task.settings
    subject = subject_of(place, settings, task.seed)
    before = get_num_threads()
    set_num_threads(usable_cores())
    try:
        calls = {
            format: _calls(subject.model(format, "int8"), subject.windows, settings)
            for format in formats_of(settings)
        }
        found: dict[str, Any] = {"threads": get_num_threads()}
        for index, kind in enumerate(("prompt", "written")):
            measures = {format: _timed(pair[index]) for format, pair in calls.items()}
            for measure in measures.values():
                measure()  # kernels are compiled, steps recorded
            found[kind] = in_turn(measures, settings.rounds)
        return found
    finally:
        set_num_threads(before)


def _timed(call: Callable[[], object]) -> Callable[[], float]:
    return lambda: seconds_per_call(call, 1)


def _calls(
    model: Any, windows: Any, settings: Settings
) -> tuple[Callable[[], object], Callable[[], object]]:
    """Reading a prompt, and writing behind it."""
    config, count = model.config, settings.prompt
    ids = np.resize(windows, count).tolist()
    cache = KVCache(
        config.num_layers,
        config.num_kv_heads or config.num_heads,
        config.head_dim,
        capacity=count + settings.written + 32,
    )
    steps, slot = Steps(model, cache), cache.start()

    def read() -> object:
        cache.truncate(slot, 0)
        return steps.scores(ids, cache.batch([slot], [count]), [count - 1], 0)

    def write() -> None:
        if cache.length(slot) < count:
            read()
        cache.truncate(slot, count)
        token = ids[0]
        for _ in range(settings.written):
            scores = steps.scores([token], cache.batch([slot], [1]), [0], MANY)
            token = int(scores[0].argmax())

    return read, write

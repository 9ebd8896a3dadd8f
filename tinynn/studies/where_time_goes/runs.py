"""The measurements: the candidates of a set take turns, a step at a time."""

from __future__ import annotations

import resource
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from tinynn.backend import recording
from tinynn.backend.timing import Rounds, calls_in, in_turn, seconds_per_call
from tinynn.capture import Plan
from tinynn.studies.shared.workers import Place
from tinynn.studies.where_time_goes.memory import with_fresh_memory, with_kept_memory
from tinynn.studies.where_time_goes.steps import (
    ELEMENTWISE,
    OPTIMIZER,
    PRODUCTS,
    Settings,
    Step,
    part_of,
)

__all__ = ["GIVEN_BACK", "Stopwatch", "Task", "Timed", "describe_plan", "take_apart"]

# How long a candidate is called in a turn, at least once.
TURN_SECONDS = 0.004
# Looks at the clock, to find out what one takes.
LOOKS = 2000
# Bytes of an array: malloc keeps what is smaller than the largest that it was given back, but for
# those beyond 32 MiB.
GIVEN_BACK = 31 << 20
median = statistics.median


class Task(NamedTuple):
    """One set: a network made anew, and a batch."""

    network: str
    images: Any
    labels: Any
    seed: int
    settings: Settings


def take_apart(place: Place, task: Task) -> dict[str, Any]:
    """What a step takes, and its parts: seconds, each the median over the turns.

    To be called in a process that has done nothing else: whether malloc keeps memory that is given
    back, or the system has to find it anew in each step, depends on all that was done before. So
    the eager step is measured alone at first. For all that is measured in turn an array is then
    given back that is so large that malloc keeps the memory of the steps.
    """
    step = Step(task.network, task.images, task.labels, task.seed)
    alone = Timed(step.eager)
    seconds = take_turns({"eager": alone}, task.settings).median("eager")
    np.ones(GIVEN_BACK, np.uint8)
    step.compile()
    found = {"alone": {"eager": seconds, "faults": alone.usual_faults()}}
    return {
        "set": found | measure_in_turn(step, task.settings),
        "plan": describe_plan(step.plan),
    }


def measure_in_turn(step: Step, settings: Settings) -> dict[str, Any]:
    """The step, compiled or not, and its calls."""
    eager, watched = Timed(step.eager), Stopwatch(step.compiled)
    candidates = {
        "eager": eager,
        "compiled": Timed(step.compiled),
        "watched": watched,
        "products": Timed(step.products()),
        "fresh": Timed(with_fresh_memory(step.plan)),
        "kept": Timed(with_kept_memory(step.plan)),
        "hollow": Hollow(step.compiled, step.plan),
    }
    rounds = take_turns(candidates, settings)
    calls = watched.seconds_of_calls()
    sums = dict.fromkeys((PRODUCTS, ELEMENTWISE, OPTIMIZER), 0.0)
    for call, seconds in zip(step.plan.call_of_action, calls, strict=True):
        sums[part_of(call)] += seconds
    return {
        "turns": len(rounds["eager"]),
        **{name: rounds.median(name) for name in ("eager", "compiled", "products")},
        "faults": eager.usual_faults(),
        "calls": calls,
        "parts": sums,
        "rest_of_replay": watched.seconds_besides(),
        "memory": rounds.difference("fresh", "kept"),
        "hollow": rounds.median("hollow"),
        "watching": rounds.difference("watched", "compiled"),
    }


def take_turns(candidates: Mapping[str, Callable[[], float]], settings: Settings) -> Rounds:
    """Measures the candidates in turn, for about the time that the settings give each."""
    start = perf_counter()
    in_turn(candidates, 1)
    once = perf_counter() - start
    seconds = settings.seconds * len(candidates)
    return in_turn(candidates, max(settings.turns, round(seconds / once)))


class Timed:
    """Measures the seconds of a call, its mean over a few milliseconds.

    Before, it is called for as long: that brings caches and memory into the state that they have
    when the same step is made again and again.
    """

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self._calls = calls_in(function, TURN_SECONDS)
        self._faults: list[float] = []

    def __call__(self) -> float:
        for _ in range(self._calls):
            self.function()
        before = page_faults()
        seconds = seconds_per_call(self.function, self._calls)
        self._faults.append((page_faults() - before) / self._calls)
        return seconds

    def usual_faults(self) -> float:
        """How often, usually, the system had to find memory for a call."""
        return median(self._faults)


class Stopwatch(Timed):
    """Measures a compiled step, and each call of its plan.

    The calls are timed where they stand, among the others, with one look at the clock for each.
    """

    records = False  # it listens as a profiler does

    def __init__(self, compiled: Callable[[], Any]) -> None:
        super().__init__(compiled)
        self._replays: list[list[float]] = []
        self._rows: list[list[float]] = []
        self._rests: list[float] = []

    def is_here(self) -> bool:
        return True

    def __call__(self) -> float:
        self._replays.clear()
        recording.begin(self)
        try:
            seconds = super().__call__()
        finally:
            recording.end(self)
        timed = self._replays[-self._calls :]
        row = [statistics.fmean(column) for column in zip(*timed, strict=True)]
        self._rows.append(row)
        self._rests.append(seconds - sum(row))
        return seconds

    def replay(self, actions: Sequence[Callable[[], Any]], calls: Sequence[Any]) -> None:
        """Makes the calls of the plan."""
        row = [0.0] * len(actions)
        before = perf_counter()
        for place, action in enumerate(actions):
            action()
            now = perf_counter()
            row[place] = now - before
            before = now
        self._replays.append(row)

    def seconds_of_calls(self) -> list[float]:
        """What each action takes, without the look at the clock behind it."""
        look = seconds_of_a_look()
        return [median(column) - look for column in zip(*self._rows, strict=True)]

    def seconds_besides(self) -> float:
        """What a compiled step takes besides the calls of its plan."""
        return median(self._rests)


class Hollow(Timed):
    """Measures a compiled step of which the calls are left out: Python alone, in caches that
    nothing else uses."""

    def __init__(self, compiled: Callable[[], Any], plan: Plan) -> None:
        self._plan = plan
        super().__init__(compiled)

    def __call__(self) -> float:
        actions = self._plan.actions
        self._plan.actions = [partial(_nothing)] * len(actions)
        try:
            return super().__call__()
        finally:
            self._plan.actions = actions


def seconds_of_a_look() -> float:
    """What it takes to look at the clock and write down what it shows."""
    actions = [_nothing] * LOOKS
    watch = Stopwatch(_nothing)
    pairs = []
    for _ in range(5):
        start = perf_counter()
        watch.replay(actions, ())
        middle = perf_counter()
        for action in actions:
            action()
        pairs.append((middle - start) - (perf_counter() - middle))
    return max(0.0, median(pairs) / LOOKS)


def _nothing() -> None:
    pass


def page_faults() -> int:
    """How often the system had to find memory for this thread, so far."""
    return resource.getrusage(getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)).ru_minflt


def describe_plan(plan: Plan) -> dict[str, Any]:
    """What each action of a plan does, in order; and the plan as text."""
    calls = []
    for call in plan.call_of_action:
        views = dict.fromkeys((*call.inputs(), *call.results))
        calls.append(
            {
                "number": plan.calls.index(call),
                "operation": call.operation,
                "name": call.name,
                "part": part_of(call),
                "bytes": sum(view.nbytes for view in views),
                "multiplications": multiplications(call),
            }
        )
    return {"calls": calls, "description": plan.describe()}


def multiplications(call: Any) -> int:
    """How many a product of two matrices needs; 0 for other calls."""
    if call.name not in ("dot", "matmul"):
        return 0
    (rows, inner), (_, columns) = (view.shape for view in call.arguments[:2])
    return int(rows * inner * columns)

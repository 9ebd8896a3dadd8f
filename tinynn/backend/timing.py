"""Fair timings: candidates in turn, round after round.

Timings on a busy machine drift by more than the differences worth knowing. So candidates are timed
in turn, round after round, and what is reported of two of them is the median over the rounds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

__all__ = [
    "ROUNDS",
    "ROUND_SECONDS",
    "Rounds",
    "calls_in",
    "compare",
    "in_turn",
    "seconds_per_call",
]

ROUNDS = 21
ROUND_SECONDS = 0.02


class Rounds(dict[str, list[float]]):
    """The seconds that each candidate took, round by round."""

    def median(self, name: str) -> float:
        """A candidate's median seconds."""
        return statistics.median(self[name])

    def ratio(self, name: str, other: str) -> float:
        """The median ratio of two candidates' seconds in the same round."""
        pairs = zip(self[name], self[other], strict=True)
        return statistics.median(mine / its for mine, its in pairs)

    def difference(self, name: str, other: str) -> float:
        """The median difference of two candidates' seconds in the same round."""
        pairs = zip(self[name], self[other], strict=True)
        return statistics.median(mine - its for mine, its in pairs)


def in_turn(measures: Mapping[str, Callable[[], float]], rounds: int) -> Rounds:
    """Takes all measurements in each round, each time another one first."""
    names = list(measures)
    seconds = Rounds({name: [] for name in names})
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            seconds[name].append(measures[name]())
    return seconds


def compare(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int = ROUNDS,
    seconds: float = ROUND_SECONDS,
    finish: Callable[[], object] | None = None,
) -> Rounds:
    """Times calls of the candidates in turn.

    Arguments:
        seconds: how long a candidate is called in each round.
        finish: what to call before the clock is stopped: waits for a device that works on its own.
    """

    def measure(function: Callable[[], object], calls: int) -> Callable[[], float]:
        def seconds_in_this_round() -> float:
            return seconds_per_call(function, calls, finish)

        return seconds_in_this_round

    measures = {
        name: measure(function, calls_in(function, seconds, finish))
        for name, function in candidates.items()
    }
    return in_turn(measures, rounds)


def seconds_per_call(
    function: Callable[[], object], calls: int, finish: Callable[[], object] | None = None
) -> float:
    """The mean seconds of one call over `calls` calls in a row."""
    start = time.perf_counter()
    for _ in range(calls):
        function()
    if finish is not None:
        finish()
    return (time.perf_counter() - start) / calls


def calls_in(
    function: Callable[[], object], seconds: float, finish: Callable[[], object] | None = None
) -> int:
    """How many calls fill about `seconds`; calling it also warms caches and compiles."""
    function()
    calls = 1
    while (taken := seconds_per_call(function, calls, finish) * calls) < seconds / 4:
        calls *= 4
    return max(1, round(calls * seconds / taken))

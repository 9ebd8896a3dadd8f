"""What the results of the study of heads say, as numbers."""

from __future__ import annotations

import statistics
from typing import Any

from tinynn.backend.timing import Rounds
from tinynn.studies.many_heads.task import READOUTS
from tinynn.studies.shared.report import Difference, difference, mean, mean_of_sets
from tinynn.studies.shared.study import Results

__all__ = ["LINEAR", "MLP", "View"]

LINEAR, MLP = READOUTS


class View:
    """The results of a run, by readout and number of heads."""

    def __init__(self, results: Results) -> None:
        self.settings, self.measured = results.settings, results.measured

    @property
    def heads(self) -> list[int]:
        return list(self.settings["heads"])

    @property
    def relations(self) -> int:
        return int(self.settings["relations"])

    @property
    def one(self) -> int:
        """The fewest heads: one."""
        return min(self.heads)

    @property
    def enough(self) -> int:
        """The fewest heads that are as many as relations, or the most there are."""
        return min((n for n in self.heads if n >= self.relations), default=max(self.heads))

    # ---- trainings

    def runs(self, readout: str, heads: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.measured["runs"][readout][str(heads)]
        return found

    def accuracies(self, readout: str, heads: int) -> list[float]:
        """The share of right answers of each training."""
        return [mean(run["accuracy"]) for run in self.runs(readout, heads)]

    def gain(self, readout: str, heads: int, than: int) -> Difference:
        """How much more of the answers are right with some heads than with others."""
        return difference(self.accuracies(readout, heads), self.accuracies(readout, than))

    def helped_by_mlp(self) -> list[int]:
        """The heads, fewer than relations, with clearly more right answers before an MLP."""
        few = [heads for heads in self.heads if heads < self.relations]
        gains = {heads: self.gain_by_mlp(heads) for heads in few}
        return [heads for heads, gain in gains.items() if gain.is_clear and gain.value > 0]

    def gain_by_mlp(self, heads: int) -> Difference:
        return difference(self.accuracies(MLP, heads), self.accuracies(LINEAR, heads))

    def expected(self, heads: int) -> float:
        """Of one who finds as many places as there are heads, and guesses the rest."""
        return float(self.measured["expected"][str(heads)])

    def rate(self, readout: str, heads: int) -> float:
        return float(self.runs(readout, heads)[0]["rate"])

    def mass(self, readout: str, heads: int) -> list[list[float]]:
        """The weight of each head at the place of each relation, in the training shown."""
        found: list[list[float]] = self.runs(readout, heads)[0]["mass"]
        return found

    def example(self, readout: str, heads: int) -> dict[str, Any]:
        found: dict[str, Any] = self.runs(readout, heads)[0]["example"]
        return found

    def sorted_masses(self, readout: str, heads: int) -> list[float]:
        """What a head gives the places of the relations, greatest first, mean of all heads."""
        rows = [
            sorted(masses, reverse=True)
            for run in self.runs(readout, heads)
            for masses in run["mass"]
        ]
        return [mean(column) for column in zip(*rows, strict=True)]

    # ---- timings

    def timed_heads(self, kind: str) -> list[int]:
        return sorted(map(int, self.measured["timings"][kind][0]))

    def sets(self, kind: str) -> list[Rounds]:
        return [Rounds(seconds) for seconds in self.measured["timings"][kind]]

    def seconds(self, kind: str, heads: int) -> float:
        return statistics.median(rounds.median(str(heads)) for rounds in self.sets(kind))

    def ratio(self, kind: str, heads: int, to: int) -> Difference:
        """The time with some heads as a multiple of that with others."""
        return mean_of_sets([rounds.ratio(str(heads), str(to)) for rounds in self.sets(kind)])

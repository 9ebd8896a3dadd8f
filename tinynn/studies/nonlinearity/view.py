"""What the results of the study of non-linearity say, as numbers."""

from __future__ import annotations

import statistics
from typing import Any

from tinynn.backend.timing import Rounds
from tinynn.studies.nonlinearity.networks import ACTIVATED, DEEP, PRECISIONS
from tinynn.studies.nonlinearity.runs import best_rate
from tinynn.studies.shared.report import Difference, difference, mean, mean_of_sets
from tinynn.studies.shared.study import Results

__all__ = ["View"]


class View:
    """The results of a run, by network."""

    def __init__(self, results: Results) -> None:
        self.settings, self.measured = results.settings, results.measured

    def shape(self) -> str:
        """The units of the layers, as 784-256-128-10."""
        sizes = [self.measured["inputs"], *self.settings["hidden"], self.measured["classes"]]
        return "-".join(map(str, sizes))

    # ---- trainings

    def runs(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.measured["runs"][name]
        return found

    def values(self, name: str, key: str) -> list[float]:
        """A number of each training of a network."""
        return [run[key] for run in self.runs(name)]

    def after_first_epoch(self, name: str) -> list[float]:
        """The validation losses."""
        return [run["validation_loss"][0] for run in self.runs(name)]

    def gain(self, name: str, other: str) -> Difference:
        """How much more of the test images a network recognises than another."""
        return difference(self.values(name, "test_accuracy"), self.values(other, "test_accuracy"))

    def clearly_better(self, than: str) -> list[str]:
        """The networks with an activation that recognise clearly more than one does."""
        gains = {name: self.gain(name, than) for name in ACTIVATED}
        return [name for name, gain in gains.items() if gain.is_clear and gain.value > 0]

    def clearly_worse(self, than: str) -> list[str]:
        gains = {name: self.gain(name, than) for name in ACTIVATED}
        return [name for name, gain in gains.items() if gain.is_clear and gain.value < 0]

    def mean_accuracy(self, name: str) -> float:
        return mean(self.values(name, "test_accuracy"))

    def rate(self, name: str) -> float:
        """The learning rate that the search chose."""
        return best_rate(self.measured["search"][name])

    def first_gradients(self, name: str) -> list[float]:
        """The norm of the gradient of each layer's weight before training, mean of the runs."""
        layers = zip(*(run["first_gradients"] for run in self.runs(name)), strict=True)
        return [mean(layer) for layer in layers]

    def collapses(self, dtype: str, key: str) -> list[Any]:
        """A number of the comparison of each deep linear network with its one matrix."""
        return [run["collapse"][dtype][key] for run in self.runs(DEEP)]

    def is_one_matrix(self) -> bool:
        """Whether rounding explains how its outputs differ from the deep linear network's."""
        return all(
            share <= 1 for dtype in PRECISIONS for share in self.collapses(dtype, "share_of_bound")
        )

    # ---- timings

    def batches(self, kind: str) -> list[str]:
        return list(self.measured["timings"][kind])

    def sets(self, kind: str, batch: str) -> list[Rounds]:
        """The seconds of each network, round by round. Kind: "training" or "inference"."""
        return [Rounds(seconds) for seconds in self.measured["timings"][kind][batch]]

    def seconds(self, kind: str, batch: str, name: str) -> float:
        """Those of the network without activations, times what another takes in the same round."""
        sets = self.sets(kind, batch)
        without = statistics.median(rounds.median(DEEP) for rounds in sets)
        return without * mean([rounds.ratio(name, DEEP) for rounds in sets])

    def saving(self, kind: str, batch: str, name: str, other: str = DEEP) -> Difference:
        """The share of its time that it saves to have another network in the place of one.

        The mean of the sets, each its median over the rounds, and its standard error: where in
        memory a network lies makes more of a difference than one round does to the next.
        """
        return mean_of_sets([1 - rounds.ratio(other, name) for rounds in self.sets(kind, batch)])

    def cost_per_value(self, batch: str, name: str) -> Difference:
        """Seconds of a training step that an activation takes for each value it is applied to."""
        values = int(batch) * sum(self.settings["hidden"])
        sets = self.sets("training", batch)
        return mean_of_sets([rounds.difference(name, DEEP) / values for rounds in sets])

    # ---- the plane

    def plane(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.measured["plane"][name]
        return found

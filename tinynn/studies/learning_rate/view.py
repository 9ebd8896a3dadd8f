"""The results of the study of learning rates, by the questions that are asked of them."""

from __future__ import annotations

from typing import Any

from tinynn.studies.learning_rate.runs import swing
from tinynn.studies.shared.report import mean
from tinynn.studies.shared.study import Results

__all__ = ["View"]

Run = dict[str, Any]
"""What runs.train_run gave, with its group and label."""


class View:
    """Runs by group and label, the best rate, the run that moves most."""

    def __init__(self, results: Results) -> None:
        self.settings, self.measured = results.settings, results.measured
        self.case = f"{self.settings['case']:g}"

    def runs(self, group: str, label: str | None = None) -> list[Run]:
        """In the order of their seeds."""
        found = [
            run
            for run in self.measured["runs"]
            if run["group"] == group and label in (None, run["label"])
        ]
        return sorted(found, key=lambda run: int(run["seed"]))

    def first(self, group: str, label: str) -> Run:
        return self.runs(group, label)[0]

    def names(self, group: str) -> list[str]:
        """The labels of a group, in the order in which they were run."""
        return list(
            dict.fromkeys(run["label"] for run in self.measured["runs"] if run["group"] == group)
        )

    # ---- by rate

    def by_rate(self) -> list[tuple[float, list[Run]]]:
        """The rates that were compared, rising, with their runs; the suggested one among them."""
        groups = [(group, name) for group in ("rates", "suggested") for name in self.names(group)]
        found = [(self.first(*group)["rate"], self.runs(*group)) for group in groups]
        return sorted(found, key=lambda pair: pair[0])

    def best(self) -> tuple[float, list[Run]]:
        """The compared rate with the highest mean validation accuracy in the end."""
        return max(self.by_rate(), key=lambda pair: final(pair[1]))

    def quickest(self, target: float) -> tuple[float, float] | None:
        """The rate that reaches a validation accuracy first, and after how many epochs."""
        found = [(self.epochs_to(runs, target), rate) for rate, runs in self.by_rate()]
        reached = [(epochs, rate) for epochs, rate in found if epochs is not None]
        if not reached:
            return None
        epochs, rate = min(reached)
        return rate, epochs

    def epochs_to(self, runs: list[Run], target: float) -> float | None:
        """After how many epochs an accuracy is reached, on average; None if not by all runs."""
        firsts = [
            next((e for e, a in enumerate(run["validation_accuracy"], 1) if a >= target), None)
            for run in runs
        ]
        return None if None in firsts else mean([e for e in firsts if e is not None])

    # ---- the case

    def case_runs(self) -> list[Run]:
        return self.runs("rates", self.case)

    def case_runs_with(self, units: str) -> list[Run]:
        return self.case_runs() if units == "relu" else self.runs("case", f"{units} units")

    def variations(self) -> list[str]:
        """What was changed in the case; first, that nothing was."""
        return ["nothing", *self.names("case")]

    def variation(self, label: str) -> list[Run]:
        return self.case_runs() if label == "nothing" else self.runs("case", label)

    def most_runs(self) -> int:
        return max(len(self.variation(label)) for label in self.variations())

    def shown_runs(self) -> list[Run]:
        """The case's run that moves most from epoch to epoch, and one at the best rate."""
        return [run for run in (self.restless(), self.best()[1][0]) if run is not None]

    def restless(self) -> Run | None:
        """Of the runs at the case's rate that differ in batch size alone, the most restless one."""
        chosen = [
            run
            for label in self.variations()
            for run in self.variation(label)
            if label == "nothing" or label.startswith("batch")
            if run["diverged"] is None
        ]
        return max(chosen, key=lambda run: swing(run["validation_accuracy"]), default=None)

    # ---- curvature

    def descents_by_rate(self) -> list[dict[str, Any]]:
        return [d for d in self.measured["descents"] if d["activation"] == "relu"]

    def peaks_by_units(self) -> dict[str, float]:
        """The greatest eigenvalue that gradient descent met at the smallest rate, by activation."""
        slowest = min(descent["rate"] for descent in self.measured["descents"])
        return {
            descent["activation"]: peak(descent)
            for descent in self.measured["descents"]
            if descent["rate"] == slowest
        }

    # ---- schedules

    def schedule_groups(self) -> list[str]:
        return [f"schedules from {rate:g}" for rate in self.settings["scheduled_rates"]]


def peak(descent: dict[str, Any]) -> float:
    """The greatest eigenvalue that a gradient descent met."""
    return max((point["value"] for point in descent["looks"]), default=0.0)


def has_settled(descent: dict[str, Any], settings: dict[str, Any]) -> bool:
    """Whether the eigenvalue went beyond 2 / rate, and was below again in the end."""
    limit = 2 / descent["rate"]
    is_whole = bool(len(descent["losses"]) == settings["descent_steps"])
    last = float(descent["looks"][-1]["value"])
    return is_whole and peak(descent) >= limit > last


def final(runs: list[Run]) -> float:
    """The mean validation accuracy in the end; a run that diverged counts as 0."""
    return mean([0.0 if run["diverged"] else run["validation_accuracy"][-1] for run in runs])

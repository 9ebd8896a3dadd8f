"""What the results of the study of a step's time say, as numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

from tinynn.studies.shared.report import Difference, mean, mean_of_sets
from tinynn.studies.shared.study import Results
from tinynn.studies.where_time_goes.steps import MEMORY, PARTS, PYTHON

__all__ = ["CallTime", "View"]


class CallTime(NamedTuple):
    """A call of a plan, and what it takes."""

    number: int
    operation: str
    name: str
    part: str
    seconds: float
    share: float
    """Of the compiled step."""
    nbytes: int


class View:
    """The results of a run, by network, batch, engine and part. Batches are given as written."""

    def __init__(self, results: Results) -> None:
        self.settings, self.measured = results.settings, results.measured

    def networks(self) -> list[str]:
        return list(self.measured["steps"])

    def batches(self, network: str) -> list[str]:
        """Rising."""
        return list(self.measured["steps"][network])

    def ends(self, network: str) -> tuple[str, str]:
        """The smallest and the largest batch."""
        batches = self.batches(network)
        return batches[0], batches[-1]

    def sets(self, network: str, batch: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.measured["steps"][network][batch]["sets"]
        return found

    def plan(self, network: str, batch: str) -> dict[str, Any]:
        found: dict[str, Any] = self.measured["steps"][network][batch]["plan"]
        return found

    # ---- seconds

    def step(self, network: str, batch: str, engine: str) -> Difference:
        """The whole step."""
        return mean_of_sets([whole(its, engine) for its in self.sets(network, batch)])

    def part(self, network: str, batch: str, engine: str, part: str) -> Difference:
        return mean_of_sets([parts(its, engine)[part] for its in self.sets(network, batch)])

    def products(self, network: str, batch: str) -> float:
        """The bare products."""
        return mean([its["products"] for its in self.sets(network, batch)])

    def value(self, network: str, batch: str, key: str) -> float:
        """The mean over the sets of something that was measured."""
        return mean([its[key] for its in self.sets(network, batch)])

    # ---- shares

    def share(self, network: str, batch: str, engine: str, part: str) -> Difference:
        """Of the step."""
        return mean_of_sets(
            [
                parts(its, engine)[part] / sum(parts(its, engine).values())
                for its in self.sets(network, batch)
            ]
        )

    def largest_besides(self, network: str, batch: str, engine: str, part: str) -> str:
        """The largest part but for one."""
        others = [name for name in PARTS if name != part]
        return max(others, key=lambda name: self.share(network, batch, engine, name).value)

    def change(self, network: str, engine: str, part: str) -> Difference:
        """The share of a part in steps of the largest batch, less that in steps of the smallest."""
        small, large = (self.share(network, b, engine, part) for b in self.ends(network))
        error = (small.error**2 + large.error**2) ** 0.5
        return Difference(large.value - small.value, error)

    def over_products(self, network: str, batch: str, engine: str) -> Difference:
        """The step as a multiple of its bare products."""
        sets = self.sets(network, batch)
        return mean_of_sets([whole(its, engine) / its["products"] for its in sets])

    def saving(self, network: str, batch: str) -> Difference:
        """The share of the eager step that its compiled form saves."""
        sets = self.sets(network, batch)
        return mean_of_sets([1 - whole(its, "compiled") / whole(its, "eager") for its in sets])

    def saved(self, network: str, batch: str, part: str) -> Difference:
        """The share of the eager step that is saved of one part."""
        return mean_of_sets(
            [
                (parts(its, "eager")[part] - parts(its, "compiled")[part]) / whole(its, "eager")
                for its in self.sets(network, batch)
            ]
        )

    # ---- memory

    def faults(self, network: str, batch: str) -> float:
        """How often the system had to find memory for an eager step in a new process."""
        return mean([its["alone"]["faults"] for its in self.sets(network, batch)])

    def steps(self) -> list[tuple[str, str]]:
        """All networks and batches."""
        return [(network, b) for network in self.networks() for b in self.batches(network)]

    def hungriest(self) -> tuple[str, str]:
        """The network and batch with the largest share of fresh memory."""
        return max(
            self.steps(), key=lambda step: self.share(step[0], step[1], "eager", MEMORY).value
        )

    # ---- calls

    @property
    def shown(self) -> str:
        """The batch whose calls are listed."""
        return str(self.settings["shown"])

    def calls(self, network: str) -> list[CallTime]:
        """The calls of the plan, in order."""
        batch = self.shown
        columns = zip(*(its["calls"] for its in self.sets(network, batch)), strict=True)
        whole = sum(self.part(network, batch, "compiled", part).value for part in PARTS)
        calls: list[CallTime] = []
        last = None
        pairs = zip(self.plan(network, batch)["calls"], columns, strict=True)
        for call, seconds in pairs:
            taken = mean(list(seconds))
            if call["number"] == last:  # one that several actions make
                taken += calls.pop().seconds
            last = call["number"]
            names = call["operation"], call["name"], call["part"]
            calls.append(CallTime(last, *names, taken, taken / whole, call["bytes"]))
        return calls

    def rate(self, network: str, batch: str) -> float | None:
        """Multiplications with their additions per second in the bare products, if known."""
        calls = self.plan(network, batch)["calls"]
        counts = [call["multiplications"] for call in calls if call["part"] == PARTS[0]]
        return None if 0 in counts else sum(counts) / self.products(network, batch)


def whole(its: dict[str, Any], engine: str) -> float:
    """The seconds of a step in one set."""
    if engine == "eager":
        return float(its["eager"] + seconds_of_faults(its))
    return float(its["compiled"])


def seconds_of_faults(its: dict[str, Any]) -> float:
    """What the eager step takes longer in a new process, if it has page faults there."""
    alone = its["alone"]
    return float(alone["eager"] - its["eager"]) if alone["faults"] >= 1 else 0.0


def parts(its: dict[str, Any], engine: str) -> dict[str, float]:
    """The seconds of the parts of a step in one set."""
    calls: dict[str, float] = its["parts"]
    if engine == "compiled":
        return {**calls, MEMORY: 0.0, PYTHON: its["rest_of_replay"]}
    memory = its["memory"] + seconds_of_faults(its)
    return {**calls, MEMORY: memory, PYTHON: its["eager"] - sum(calls.values()) - its["memory"]}

"""What the results of the study of quantization say, as numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinynn.backend.timing import Rounds
from tinynn.studies.quantization.layers import EMBEDDING, HEAD, KINDS
from tinynn.studies.quantization.outliers import EVERY
from tinynn.studies.quantization.settings import EXACT
from tinynn.studies.shared.report import Difference, difference, mean, mean_of_sets
from tinynn.studies.shared.study import Results

__all__ = ["CAUSES", "ENDS", "READ", "WRITTEN", "View"]

READ, WRITTEN = "prompt", "written"
ENDS = (EMBEDDING, HEAD)
# What may tell which layers suffer, as `measure_layer` names it -> in words.
CAUSES = {
    "error": "error of the layer's output",
    "input_peak": "peak of its input",
    "weight_peak": "peaks of its weights",
}


class View:
    """The results of a run, by format, width, and kind of layers."""

    def __init__(self, results: Results) -> None:
        self.settings, self.measured = results.settings, results.measured

    @property
    def subject(self) -> dict[str, Any]:
        found: dict[str, Any] = self.measured["subject"]
        return found

    # ---- formats

    @property
    def formats(self) -> list[str]:
        """The exact one first."""
        return list(self.measured["formats"])

    @property
    def rounded(self) -> list[str]:
        return [format for format in self.formats if format != EXACT]

    @property
    def with_inputs(self) -> list[str]:
        """The formats whose layers round their inputs, too."""
        return list(self.measured["exact_inputs"])

    def losses(self, format: str, exact_inputs: bool = False) -> list[float]:
        part = self.measured["exact_inputs" if exact_inputs else "formats"]
        found: list[float] = part[format]["losses"]
        return found

    def perplexity(self, format: str) -> float:
        return math.exp(mean(self.losses(format)))

    def rise(self, format: str, exact_inputs: bool = False) -> Difference:
        """Of the perplexity over that of the exact weights, as a share of it."""
        return self._rise(self.losses(format, exact_inputs), self.losses(EXACT))

    def rise_by_inputs(self, format: str) -> Difference:
        """What of the rise comes of rounding the inputs of layers."""
        return self._rise(self.losses(format), self.losses(format, exact_inputs=True))

    def _rise(self, losses: list[float], exact: list[float]) -> Difference:
        pairs = zip(losses, exact, strict=True)
        nats = mean_of_sets([loss - other for loss, other in pairs])
        return Difference(math.expm1(nats.value), math.exp(nats.value) * nats.error)

    def bytes(self, format: str) -> float:
        return float(self.measured["formats"][format]["bytes"])

    # ---- speed

    def rate(self, kind: str, format: str) -> float:
        """Tokens a second."""
        tokens = self.settings[kind]
        return float(tokens / Rounds(self.measured["speed"][kind]).median(format))

    def speedup(self, kind: str, format: str) -> float:
        """How many times as fast as with exact weights."""
        return Rounds(self.measured["speed"][kind]).ratio(EXACT, format)

    def read_a_second(self, format: str) -> float:
        """Bytes of weights, if a token that is written reads each once."""
        return self.bytes(format) * self.rate(WRITTEN, format)

    # ---- networks of two sizes

    @property
    def widths(self) -> list[int]:
        return sorted(map(int, self.measured["networks"]))

    @property
    def network_formats(self) -> list[str]:
        """From the most bytes to the fewest, in the wider network."""
        one = self.measured["networks"][str(self.widths[-1])][0]
        return sorted(one, key=lambda format: -one[format]["bytes"])

    def network_losses(self, width: int, format: str) -> list[float]:
        return [run[format]["loss"] for run in self.measured["networks"][str(width)]]

    def network_bytes(self, width: int, format: str) -> float:
        return float(self.measured["networks"][str(width)][0][format]["bytes"])

    def network_rise(self, width: int, format: str) -> Difference:
        """Of the loss over that of the exact weights, nats a character."""
        pairs = zip(
            self.network_losses(width, format), self.network_losses(width, EXACT), strict=True
        )
        return mean_of_sets([loss - exact for loss, exact in pairs])

    def rival(self, format: str) -> str | None:
        """The best format in which the wider network takes no more bytes than the narrower one in
        a format; None where it fits in none."""
        room = self.network_bytes(self.widths[0], format)
        wide = self.widths[-1]
        fitting = [f for f in self.network_formats if self.network_bytes(wide, f) <= room]
        return min(fitting, key=lambda f: mean(self.network_losses(wide, f)), default=None)

    def gain(self, format: str, rival: str) -> Difference:
        """By how much the loss of the wider network is below that of the narrower one."""
        narrow, wide = self.widths[0], self.widths[-1]
        return difference(self.network_losses(narrow, format), self.network_losses(wide, rival))

    # ---- layers

    @property
    def depths(self) -> int:
        return len(self.measured["layers"])

    def of_layers(self, kind: str, what: str) -> list[float]:
        """Of the layers of a kind, by depth."""
        return [layer[kind][what] for layer in self.measured["layers"]]

    def hurt_by(self, kind: str) -> float:
        """The divergence where all layers of a kind are coarse."""
        return float(self.measured["outliers"][kind]["weights"]["none"])

    def end(self, name: str) -> float:
        return float(self.measured["outliers"]["ends"][name])

    def worst_kind(self) -> str:
        return max(KINDS, key=self.hurt_by)

    def worst_layers(self, count: int) -> list[tuple[str, int, float]]:
        """(kind, depth, divergence) of the layers that hurt most, the worst first."""
        found = [
            (kind, depth, value)
            for kind in KINDS
            for depth, value in enumerate(self.of_layers(kind, "divergence"))
        ]
        return sorted(found, key=lambda item: -item[2])[:count]

    def share_of_worst(self, count: int) -> float:
        """Of the divergences of all single layers, what so many of them have together."""
        total = sum(sum(self.of_layers(kind, "divergence")) for kind in KINDS)
        return sum(value for _, _, value in self.worst_layers(count)) / total

    def order_kept(self, cause: str, kind: str) -> float:
        """Spearman's rank correlation of a cause and the divergence, over the layers of a kind."""
        values = self.of_layers(kind, cause), self.of_layers(kind, "divergence")
        first, second = (np.argsort(np.argsort(value)) for value in values)
        return float(np.corrcoef(first, second)[0, 1])

    def highest_peak(self) -> tuple[str, int, float]:
        """(kind, depth, peak) of the input with the largest outlier."""
        found = [
            (kind, depth, value)
            for kind in KINDS
            for depth, value in enumerate(self.of_layers(kind, "input_peak"))
        ]
        return max(found, key=lambda item: item[2])

    # ---- outliers

    @property
    def names(self) -> list[str]:
        """The kinds of layers, and all of them together."""
        return [*KINDS, EVERY]

    def divergence(self, name: str, part: str, way: str) -> float:
        """Of coarse "weights" or rounded "inputs"."""
        return float(self.measured["outliers"][name][part][way])

    def given_back(self, name: str, part: str, way: str, than: str) -> float:
        """The share of the divergence that one way has less than another."""
        return 1 - self.divergence(name, part, way) / self.divergence(name, part, than)

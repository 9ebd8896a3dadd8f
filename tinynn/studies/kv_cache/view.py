"""What the results of the study of the cache say, as numbers."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np

from tinynn.studies.shared.report import Difference, mean_of_sets
from tinynn.studies.shared.study import Results

__all__ = ["View"]


class View:
    """The results of a run, by way and length."""

    def __init__(self, results: Results) -> None:
        self.settings, self.measured = results.settings, results.measured

    @property
    def lengths(self) -> list[int]:
        """Rising."""
        return [int(length) for length in self.measured["lengths"]]

    @property
    def longer(self) -> list[int]:
        """The longer half of the lengths, in which growth is measured."""
        return self.lengths[(len(self.lengths) - 1) // 2 :]

    def at(self, length: int) -> dict[str, Any]:
        found: dict[str, Any] = self.measured["lengths"][str(length)]
        return found

    # ---- words

    def continuation(self, way: str) -> list[str]:
        found: list[str] = self.measured["continuations"][way].split()
        return found

    def agreement(self, way: str, other: str) -> int:
        """How many words two ways have in common before they part."""
        pairs = zip(self.continuation(way), self.continuation(other), strict=True)
        alike = [one == two for one, two in pairs]
        return alike.index(False) if False in alike else len(alike)

    def word(self, way: str, length: int) -> str:
        return str(self.at(length)[way]["word"])

    def same(self, way: str, other: str) -> list[int]:
        """The lengths after which two ways have the same word follow."""
        return [n for n in self.lengths if self.word(way, n) == self.word(other, n)]

    def right(self, way: str) -> list[int]:
        """The lengths after which a way has the word of the text follow."""
        return [n for n in self.lengths if self.word(way, n) == self.at(n)["expected"]]

    def apart(self, way: str) -> float:
        """How far its logits are, at most, from those without a cache."""
        return float(max(self.at(length)[way]["apart"] for length in self.lengths))

    # ---- seconds

    def rounds(self, way: str, length: int) -> list[float]:
        found: list[float] = self.at(length)[way]["seconds"]
        return found

    def seconds(self, way: str, length: int) -> float:
        return statistics.median(self.rounds(way, length))

    def speedup(self, length: int) -> float:
        return float(self.at(length)["speedup"])

    def growth(self, way: str) -> Difference:
        """The p in seconds ~ length ** p, fitted in the longer half; of each round."""
        columns = zip(*(self.rounds(way, length) for length in self.longer), strict=True)
        return mean_of_sets([slope(self.longer, list(column)) for column in columns])

    # ---- bytes

    def held(self, way: str, length: int) -> float:
        return float(self.at(length)[way]["held"])

    def working(self, way: str, length: int) -> float:
        return float(self.at(length)[way]["working"])

    def growth_of_bytes(self, way: str, kind: str) -> float:
        """The p in bytes ~ length ** p; kind is "held" or "working"."""
        return slope(self.longer, [self.at(length)[way][kind] for length in self.longer])


def slope(lengths: list[int], values: list[float]) -> float:
    """Of the straight line that fits best where both axes are logarithmic.

    >>> round(slope([1, 2, 4], [3.0, 12.0, 48.0]), 6)
    2.0
    """
    return float(np.polyfit(np.log(lengths), np.log(values), 1)[0])

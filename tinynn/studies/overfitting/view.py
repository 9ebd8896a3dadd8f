"""What the results of the study of overfitting say, as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tinynn.backend.timing import Rounds
from tinynn.studies.overfitting.plan import ALL, MAIN
from tinynn.studies.overfitting.settings import FEWER, MORE, NONE, REMEDIES
from tinynn.studies.shared.report import Difference, difference, mean, percent
from tinynn.studies.shared.study import Results

__all__ = ["Change", "View", "greatest_fall", "greatest_rise_beyond"]


class Change(NamedTuple):
    """From one width to a wider one."""

    first: int
    second: int
    difference: Difference
    """Of the means: the narrower network's less the wider one's."""

    @property
    def is_sure(self) -> bool:
        """Whether it is beyond what is found by looking for the greatest of many.

        That is asked more than of a single difference: three times its standard error.
        """
        return abs(self.difference.value) > 3 * self.difference.error


def greatest_fall(values: Mapping[int, Sequence[float]]) -> Change:
    """The two widths between which the mean falls most; the least rise where it never falls.

    >>> greatest_fall({8: [0.6, 0.6], 16: [0.8, 0.8], 64: [0.5, 0.5], 512: [0.7, 0.7]})[:2]
    (16, 64)
    """
    widths = sorted(values)
    return max(
        (
            Change(narrow, wide, difference(values[narrow], values[wide]))
            for place, narrow in enumerate(widths)
            for wide in widths[place + 1 :]
        ),
        key=lambda change: change.difference.value,
    )


def greatest_rise_beyond(width: int, values: Mapping[int, Sequence[float]]) -> Change | None:
    """From a width to the wider one with the greatest mean; None for the widest."""
    wider = [other for other in values if other > width]
    if not wider:
        return None
    best = max(wider, key=lambda other: mean(values[other]))
    return Change(width, best, difference(values[width], values[best]))


class View:
    """The results of a run, by case, width and remedy."""

    def __init__(self, results: Results) -> None:
        self.settings, self.measured = results.settings, results.measured
        self.sizes: dict[str, int] = self.measured["sizes"]

    # ---- by width

    def case_names(self) -> list[str]:
        """Those with few images by their share of wrong labels, then that with all images."""
        few = [name for name in self.measured["cases"] if name != ALL]
        return [*sorted(few, key=self.noise), ALL]

    def few(self) -> list[str]:
        return self.case_names()[:-1]

    def noise(self, case: str) -> float:
        """The share of wrong labels."""
        share: float = self.measured["cases"][case]["noise"]
        return share

    def images(self, case: str) -> str:
        """What a case trains on, such as "4,000 images with 40% wrong labels"."""
        noise = self.noise(case)
        labels = f"{percent(noise, 0)} wrong labels" if noise else "right labels"
        if case == ALL:
            return f"all {self.sizes['train']:,} images with {labels}"
        return f"{self.sizes['set']:,} images with {labels}"

    def runs(self, case: str, width: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.measured["cases"][case]["runs"][str(width)]
        return found

    def widths(self, case: str) -> list[int]:
        return sorted(map(int, self.measured["cases"][case]["runs"]))

    def values(self, case: str, key: str) -> dict[int, list[float]]:
        """A number of each run, by width."""
        return {width: [run[key] for run in self.runs(case, width)] for width in self.widths(case)}

    def means(self, case: str, key: str) -> dict[int, float]:
        return {width: mean(values) for width, values in self.values(case, key).items()}

    def fall(self, case: str = MAIN) -> Change:
        return greatest_fall(self.values(case, "validation_accuracy"))

    def rise_of_loss(self, case: str) -> Change:
        """Where the validation loss rises most, as a fall of its negative."""
        losses = self.values(case, "validation_loss")
        return greatest_fall({width: [-v for v in values] for width, values in losses.items()})

    def is_hurt(self, case: str = MAIN) -> bool:
        """Whether more neurons surely made the validation accuracy worse, and training better."""
        fall = self.fall(case)
        train = self.means(case, "train_accuracy")
        return fall.difference.value > 0 and fall.is_sure and train[fall.second] > train[fall.first]

    def second_descent(self, case: str = MAIN) -> Change | None:
        """From the worst width on; None where there is no wider one."""
        values = self.values(case, "validation_accuracy")
        return greatest_rise_beyond(self.fall(case).second, values)

    def memorised(self, case: str) -> int | None:
        """The narrowest network that has learned nearly all of its training set."""
        least = self.settings["memorised"]
        accuracies = self.means(case, "train_accuracy")
        return next((width for width, value in accuracies.items() if value >= least), None)

    def parts(self, case: str, key: str) -> dict[int, float]:
        """Of the decomposition: "error", "bias" or "variance", by width."""
        found = self.measured["cases"][case]["decompositions"]
        return {width: found[str(width)][key] for width in self.widths(case)}

    def peak_of_variance(self) -> int:
        """The width at which it is greatest in the main case."""
        variances = self.parts(MAIN, "variance")
        return max(variances, key=lambda width: variances[width])

    def parameters(self, width: int) -> int:
        count: int = self.measured["parameters"][str(width)]
        return count

    # ---- remedies

    def neurons(self) -> dict[str, int]:
        """The widths that are compared with the remedies: a narrower and, if there is, a wider."""
        fewer, width, more = self.measured["widths"]
        return {FEWER: fewer} if more == width else {FEWER: fewer, MORE: more}

    def treated(self) -> int:
        """The width that the remedies were tried on."""
        width: int = self.measured["widths"][1]
        return width

    def remedy_names(self) -> list[str]:
        """All that was tried, other widths included."""
        nothing, *others = REMEDIES
        return [nothing, *self.neurons(), *others]

    def remedies_watched_rightly(self) -> list[str]:
        """Those that go on for all epochs, their validation images labelled rightly meanwhile."""
        return [name for name, remedy in REMEDIES.items() if "early stopping" not in remedy.parts]

    def treated_runs(self, name: str) -> list[dict[str, Any]]:
        if name in self.neurons():
            return self.runs(MAIN, self.neurons()[name])
        found: list[dict[str, Any]] = self.measured["remedies"][name]
        return found

    def treated_values(self, name: str, key: str = "test_accuracy") -> list[float]:
        return [run[key] for run in self.treated_runs(name)]

    def gain(self, name: str, other: str = NONE) -> Difference:
        """Of test accuracy, over another remedy."""
        return difference(self.treated_values(name), self.treated_values(other))

    def best(self, names: Sequence[str]) -> str:
        """The one with the greatest mean test accuracy."""
        return max(names, key=lambda name: mean(self.treated_values(name)))

    def course_of_validation(self, name: str) -> tuple[float, int, float]:
        """The best mean accuracy on the watched images, after which epoch, and the last."""
        curves = [run["course"]["validation_accuracy"] for run in self.treated_runs(name)]
        means = [mean(values) for values in zip(*curves, strict=True)]
        best = max(means)
        return best, means.index(best) + 1, means[-1]

    def seconds(self, name: str) -> float:
        """Of a whole training."""
        epochs = mean(self.treated_values(name, "epochs"))
        return Rounds(self.measured["seconds"]).median(name) * epochs

    def times_as_long(self, name: str) -> float:
        """A training's time relative to that without a remedy."""
        epochs = mean(self.treated_values(name, "epochs"))
        ratio = Rounds(self.measured["seconds"]).ratio(name, NONE)
        return ratio * epochs / mean(self.treated_values(NONE, "epochs"))

"""Numbers of the study of overfitting as words."""

from __future__ import annotations

from tinynn.studies.overfitting.plan import MAIN
from tinynn.studies.overfitting.view import View
from tinynn.studies.shared.report import percent, spread

__all__ = [
    "accuracy",
    "accuracy_after",
    "listing",
    "loss",
    "points",
    "wrong_labels",
]


def accuracy(view: View, case: str, width: int, part: str = "validation") -> str:
    return spread(view.values(case, f"{part}_accuracy")[width])


def accuracy_after(view: View, remedy: str) -> str:
    return spread(view.treated_values(remedy))


def wrong_labels(view: View, width: int) -> str:
    """The share of the wrong labels that a network learned."""
    return percent(view.means(MAIN, "wrong_learned")[width])


def loss(view: View, case: str, width: int) -> str:
    return f"{view.means(case, 'validation_loss')[width]:.2f}"


def points(share: float) -> str:
    """A difference of shares; its sign only where it is negative."""
    return f"{100 * share:.1f} points"


def listing(names: list[str]) -> str:
    """Names that may hold commas."""
    return "; ".join(names)

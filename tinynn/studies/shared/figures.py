"""What the figures of studies have in common: lines that a greyscale print tells apart, bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from tinynn.training.figure import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["GRID", "draw_bars", "draw_lines", "new_figure", "style"]

GRID: dict[str, Any] = {"alpha": 0.3}
_COLOURS = ("black", "tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple", "tab:brown")
_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p")


def style(index: int) -> dict[str, Any]:
    """Colour, dashes and marker of the line of a number: no two share all, nor the last two."""
    return {
        "color": _COLOURS[index % len(_COLOURS)],
        "linestyle": _DASHES[index % len(_DASHES)],
        "marker": _MARKERS[index % len(_MARKERS)],
        "markersize": 4,
    }


def draw_lines(
    axes: Axes, x: ArrayLike, runs: Sequence[Sequence[float]], label: str, index: int
) -> None:
    """The mean over runs as a line, and from the least to the greatest as a band.

    Arguments:
        x: shape (points,).
        runs: shape (runs, points).
        index: of the line's style.
    """
    values = np.asarray(runs, float)
    look = style(index)
    axes.plot(x, values.mean(axis=0), label=label, markevery=max(1, len(values[0]) // 12), **look)
    if len(values) > 1:
        axes.fill_between(
            np.asarray(x, float),
            values.min(axis=0),
            values.max(axis=0),
            color=look["color"],
            alpha=0.15,
            linewidth=0,
        )


def draw_bars(axes: Axes, names: Sequence[str], runs: Sequence[Sequence[float]]) -> None:
    """A horizontal bar for each name, as long as the mean of its runs, and a dot for each run.

    The first name is at the top.
    """
    places = np.arange(len(names))[::-1]
    axes.barh(places, [np.mean(values) for values in runs], color="0.8", edgecolor="black")
    for place, values in zip(places, runs, strict=True):
        axes.plot(values, [place] * len(values), "o", color="black", markersize=3, clip_on=False)
    axes.set_yticks(places, names)
    axes.grid(True, axis="x", **GRID)

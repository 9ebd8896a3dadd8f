"""The figures of the study of the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinynn.studies.kv_cache.view import View
from tinynn.studies.kv_cache.ways import CACHED, RECOMPUTED, WAYS, WINDOWED
from tinynn.studies.shared.figures import GRID, draw_lines, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tinynn.studies.shared.study import Results

__all__ = ["draw"]


def draw(results: Results) -> dict[str, Figure]:
    view = View(results)
    figure = new_figure(11.0, 4.4)
    time, memory = figure.subplots(1, 2)
    draw_time(time, view)
    draw_memory(memory, view)
    for axes in (time, memory):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(view.lengths, [f"{length:,}" for length in view.lengths], fontsize=8)
        axes.minorticks_off()
        axes.set_xlabel("words in the text so far")
        axes.grid(True, **GRID)
        axes.legend(fontsize=9)
    return {"lengths.png": figure}


def draw_time(axes: Axes, view: View) -> None:
    """Milliseconds for a word by length, and a line for how they grow."""
    for index, way in enumerate(WAYS):
        rounds = [[1e3 * s for s in view.rounds(way, length)] for length in view.lengths]
        growth = view.growth(way).value
        label = f"{way}: {power(growth)}"
        draw_lines(axes, view.lengths, np.transpose(rounds).tolist(), label, index)
        ends = np.array([view.longer[0], view.longer[-1]])
        middle = np.exp(np.mean(np.log([view.seconds(way, n) for n in view.longer])))
        centre = np.exp(np.mean(np.log(view.longer)))
        axes.plot(
            ends, 1e3 * middle * (ends / centre) ** growth, color="0.5", linewidth=3, alpha=0.4
        )
    axes.set_ylabel("time for the next word (ms)")
    axes.set_title("line: mean, band: least to greatest, grey: the fit", fontsize=11)


def draw_memory(axes: Axes, view: View) -> None:
    """Kilobytes that are held, or taken for a moment, by length."""
    for way in (RECOMPUTED, CACHED, WINDOWED):
        kind, what = ("working", "for a moment") if way == RECOMPUTED else ("held", "held")
        values = [view.at(length)[way][kind] / 1e3 for length in view.lengths]
        growth = view.growth_of_bytes(way, kind)
        label = f"{way}, {what}: {power(growth)}"
        axes.plot(view.lengths, values, label=label, **style(WAYS.index(way)))
    axes.set_ylabel("memory (kB)")
    axes.set_title("memory for the next word", fontsize=11)


def power(growth: float) -> str:
    """n to a power, as it is written in formulas.

    >>> power(1.234), power(-0.0004)
    ('$n^{1.23}$', '$n^{0.00}$')
    """
    return f"$n^{{{round(growth, 2) + 0.0:.2f}}}$"

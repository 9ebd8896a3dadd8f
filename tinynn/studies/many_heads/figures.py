"""The figures of the study of heads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.studies.many_heads.task import READOUTS
from tinynn.studies.many_heads.timings import KINDS
from tinynn.studies.many_heads.view import LINEAR, MLP, View
from tinynn.studies.shared.figures import GRID, draw_bars, draw_lines, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tinynn.studies.shared.study import Results

__all__ = ["draw"]

MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")


def draw(results: Results) -> dict[str, Figure]:
    view = View(results)
    return {
        "answers.png": draw_answers(view),
        "losses.png": draw_losses(view),
        "heads.png": draw_heads(view),
        "times.png": draw_times(view),
    }


def draw_answers(view: View) -> Figure:
    """The share of right answers by heads, for each readout, and one place a head beside it."""
    figure = new_figure(10.0, 3.6)
    for axes, readout in zip(figure.subplots(1, 2, sharey=True), READOUTS, strict=True):
        shares = [[100 * a for a in view.accuracies(readout, heads)] for heads in view.heads]
        draw_bars(axes, [str(heads) for heads in view.heads], shares)
        places = np.arange(len(view.heads))[::-1]
        for place, heads in zip(places, view.heads, strict=True):
            found = 100 * view.expected(heads)
            axes.plot([found] * 2, [place - 0.45, place + 0.45], "--", color="black")
        axes.set_xlabel("right answers (%); bar: mean, dots: trainings,\ndashes: one place a head")
        axes.set_title(f"{readout} behind the attention", fontsize=11)
        axes.set_xlim(0, 105)
    figure.axes[0].set_ylabel(f"heads, of {view.settings['width']} / heads numbers")
    return figure


def draw_losses(view: View) -> Figure:
    """The training loss by step."""
    figure = new_figure(10.0, 4.0)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, readout in zip(panels, READOUTS, strict=True):
        for index, heads in enumerate(view.heads):
            curves = [run["losses"] for run in view.runs(readout, heads)]
            ends = np.linspace(0, view.settings["steps"], len(curves[0]) + 1)
            middles = (ends[1:] + ends[:-1]) / 2
            draw_lines(axes, middles, curves, f"{heads} heads" if heads > 1 else "1 head", index)
        axes.set_xlabel("step; line: mean, band: least to greatest of the trainings")
        axes.set_title(f"{readout} behind the attention", fontsize=11)
        axes.set_ylim(bottom=0)
        axes.grid(True, **GRID)
    panels[0].set_ylabel("training loss (nats per answer)")
    panels[1].legend(fontsize=9)
    return figure


def draw_heads(view: View) -> Figure:
    """A panel for each head: its weights in one row, and the places asked for."""
    shown = [(LINEAR, view.one), (MLP, view.one), (LINEAR, view.enough)]
    panels = [
        (title_of(view, readout, heads, number), weights, view.example(readout, heads)["places"])
        for readout, heads in shown
        for number, weights in enumerate(view.example(readout, heads)["weights"])
    ]
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(4.0 * columns, 4.0 * rows + 0.4)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        image = draw_map(axes, *panel)
    for axes in grid.flat[len(panels) :]:
        axes.axis("off")
    figure.colorbar(image, ax=grid, shrink=0.5, label="weight")
    figure.legend(
        *grid.flat[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=min(4, view.relations),
        fontsize=9,
    )
    return figure


def title_of(view: View, readout: str, heads: int, number: int) -> str:
    letter = "" if heads == 1 else f", head {chr(ord('a') + number)}"
    return f"{heads} head{'s' * (heads > 1)}{letter} ({readout})"


def draw_map(axes: Axes, title: str, weights: Any, places: Any) -> Any:
    """The weights [persons, persons] of a head, and the places [persons, relations]."""
    image = axes.imshow(np.asarray(weights), cmap="Greys", vmin=0, vmax=1)
    asking = np.arange(len(places))
    for relation, column in enumerate(np.asarray(places).T):
        axes.plot(
            column,
            asking,
            linestyle="none",
            markerfacecolor="none",
            markeredgecolor=style(relation + 1)["color"],
            markeredgewidth=1.4,
            label=f"place of relation {chr(ord('A') + relation)}",
            marker=MARKS[relation % len(MARKS)],
            markersize=7,
        )
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("place looked at")
    axes.set_ylabel("asking person")
    axes.locator_params(integer=True)
    return image


def draw_times(view: View) -> Figure:
    """The time of attention by heads, for a text and for a new token."""
    figure = new_figure(10.0, 3.4)
    settings = view.settings
    titles = {
        "prefill": f"a text of {settings['prefill_tokens']} tokens",
        "decode": f"a new token, {settings['decode_context']} before it",
    }
    for index, (axes, kind) in enumerate(zip(figure.subplots(1, 2), KINDS, strict=True)):
        heads = view.timed_heads(kind)
        one = 1e6 * view.seconds(kind, min(heads))
        ratios = [view.ratio(kind, number, min(heads)) for number in heads]
        errors = [
            0.0 if number == min(heads) else 2 * one * ratio.error
            for number, ratio in zip(heads, ratios, strict=True)
        ]
        axes.errorbar(
            range(len(heads)), [one * r.value for r in ratios], errors, capsize=3, **style(index)
        )
        axes.set_xticks(range(len(heads)), [str(number) for number in heads])
        axes.set_xlabel(f"heads, of {settings['timed_width']} / heads numbers")
        axes.set_ylabel("µs, ± two standard errors")
        axes.set_title(titles[kind], fontsize=11)
        axes.set_ylim(bottom=0)
        axes.grid(True, **GRID)
    return figure

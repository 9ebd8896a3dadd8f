"""The figures of the study of overfitting."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tinynn.studies.overfitting.plan import MAIN
from tinynn.studies.overfitting.settings import NONE
from tinynn.studies.overfitting.view import View
from tinynn.studies.shared.figures import GRID, draw_bars, draw_lines, new_figure, style
from tinynn.studies.shared.report import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tinynn.studies.shared.study import Results

__all__ = ["draw"]

WIDTH_LABEL = "neurons in the first hidden layer"


def draw(results: Results) -> dict[str, Figure]:
    view = View(results)
    return {
        "accuracy.png": draw_accuracy(view),
        "loss.png": draw_loss(view),
        "labels.png": draw_labels(view),
        "bias_variance.png": draw_bias_variance(view),
        "course.png": draw_course(view),
        "remedies.png": draw_remedies(view),
    }


def draw_accuracy(view: View) -> Figure:
    """Training and validation accuracy by width, a panel for each case."""
    names = view.case_names()
    rows = 1 if len(names) < 4 else 2
    figure = new_figure(9.6, 3.6 * rows)
    panels = figure.subplots(rows, math.ceil(len(names) / rows), sharex=True, sharey=True)
    for name, axes in zip(names, panels.flat, strict=False):
        for index, part in enumerate(("train", "validation")):
            values = view.values(name, f"{part}_accuracy")
            draw_by_width(axes, in_percent(values), part.replace("train", "training"), index)
        mark_memorised(axes, view, name)
        verdict = "validation does not surely fall"
        if view.is_hurt(name):
            fall = view.fall(name)
            verdict = f"validation falls from {fall.first} to {fall.second} neurons"
            axes.axvspan(fall.first, fall.second, color="0.88", zorder=0, label="validation falls")
        axes.set_title(f"{view.images(name)}:\n{verdict}", fontsize=10)
    for axes in panels.flat[len(names) :]:
        axes.remove()
    for axes in panels.flat[: len(names)]:
        if axes.get_subplotspec().is_first_col():
            axes.set_ylabel("images recognised (%)")
        if axes.get_subplotspec().is_last_row():
            axes.set_xlabel(WIDTH_LABEL)
    handles = {
        label: handle
        for axes in panels.flat[: len(names)]
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)
    return figure


def draw_loss(view: View) -> Figure:
    """The validation loss by width, a line for each case."""
    from matplotlib.ticker import LogLocator

    figure = new_figure(7.5, 4.4)
    axes = figure.subplots()
    for index, name in enumerate(view.case_names()):
        draw_by_width(axes, view.values(name, "validation_loss"), view.images(name), index)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    axes.set_xlabel(WIDTH_LABEL)
    axes.set_ylabel("validation loss (nats per image)")
    axes.set_title("Validation loss by width")
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return figure


def draw_labels(view: View) -> Figure:
    """What the networks answer for the training images that have a wrong label."""
    figure = new_figure(7.5, 4.2)
    axes = figure.subplots()
    noisy = [name for name in view.few() if view.noise(name) > 0]
    kinds = {"wrong_learned": "the wrong label", "wrong_seen_through": "the true digit"}
    index = 0
    for name in noisy:
        for key, answer in kinds.items():
            label = f"{percent(view.noise(name), 0)} wrong labels: {answer}"
            draw_by_width(axes, in_percent(view.values(name, key)), label, index)
            index += 1
    axes.set_ylim(0, 102)
    axes.set_xlabel(WIDTH_LABEL)
    axes.set_ylabel("of the wrongly labelled images (%)")
    axes.set_title("What is answered for training images with a wrong label")
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return figure


def draw_bias_variance(view: View) -> Figure:
    """The squared error as bias with variance on top, by width."""
    names = view.few()
    figure = new_figure(3.4 * len(names) + 0.4, 4.2)
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for name, axes in zip(names, panels, strict=True):
        widths = view.widths(name)
        bias, error = (list(view.parts(name, key).values()) for key in ("bias", "error"))
        axes.fill_between(widths, 0, bias, color="0.55", label="squared bias", linewidth=0)
        axes.fill_between(
            widths, bias, error, facecolor="0.9", edgecolor="0.5", hatch="//", label="variance"
        )
        axes.plot(widths, error, label="squared error", **style(0))
        style_widths(axes)
        mark_memorised(axes, view, name)
        axes.set_title(view.images(name), fontsize=11)
        axes.set_xlabel(WIDTH_LABEL, fontsize=9)
    panels[0].set_ylabel("squared error of the probabilities")
    panels[0].set_ylim(bottom=0)
    handles, labels = panels[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def draw_course(view: View) -> Figure:
    """Accuracies by epoch: without a remedy, and with each."""
    figure = new_figure(10.0, 4.4)
    left, right = figure.subplots(1, 2, sharey=True)
    kinds = {"train_accuracy": "training images", "validation_accuracy": "validation images"}
    for index, (key, label) in enumerate(kinds.items()):
        draw_epochs(left, [run["course"][key] for run in view.treated_runs(NONE)], label, index)
    left.set_title(f"{view.treated()} neurons, no remedy", fontsize=11)
    left.legend(loc="lower right", fontsize=9)
    for index, name in enumerate(view.remedies_watched_rightly()):
        curves = [run["course"]["validation_accuracy"] for run in view.treated_runs(name)]
        draw_epochs(right, curves, name, index)
    right.set_title("Validation images, with each remedy", fontsize=11)
    right.legend(loc="lower right", ncols=2, fontsize=9)
    for axes in (left, right):
        axes.set_xlabel("epoch (one pass over the training images)")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(True, **GRID)
        axes.set_ylim(0, 100)
    left.set_ylabel("images recognised (%)")
    return figure


def draw_remedies(view: View) -> Figure:
    """The test accuracy that each remedy leads to, and the time it takes."""
    names = view.remedy_names()
    figure = new_figure(10.0, 4.6)
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    draw_bars(left, names, [[100 * v for v in view.treated_values(name)] for name in names])
    nothing = 100 * statistics.fmean(view.treated_values(NONE))
    left.axvline(nothing, color="black", linestyle=":", linewidth=1)
    left.set_xlabel("test images recognised (%); bar: mean, dots: trainings")
    left.set_xlim(0, 100)
    left.set_title(f"{view.treated()} neurons, {view.images(MAIN)}", fontsize=11)
    times = [view.times_as_long(name) for name in names]
    places = range(len(names) - 1, -1, -1)
    right.plot(times, places, "o", color="black")
    for place, value in zip(places, times, strict=True):
        side, offset = ("right", -7) if value < 1 else ("left", 7)
        right.annotate(
            f"{value:.2f}",
            (value, place),
            (offset, 0),
            textcoords="offset points",
            ha=side,
            va="center",
        )
    right.axvline(1, color="black", linestyle=":", linewidth=1)
    right.set_xscale("log")
    right.xaxis.set_major_formatter("{x:g}")
    right.set_xlim(min(times) / 4, 5 * max(times))
    right.set_xlabel("time of a training, no remedy = 1")
    right.grid(True, axis="x", **GRID)
    right.set_title("What it costs", fontsize=11)
    return figure


# ---- what the figures share


def draw_by_width(
    axes: Axes, values: Mapping[int, Sequence[float]], label: str, index: int
) -> None:
    """Means over runs, with their standard deviations as bars where there are several."""
    spreads = [statistics.stdev(v) if len(v) > 1 else 0.0 for v in values.values()]
    means = [statistics.fmean(v) for v in values.values()]
    axes.errorbar(list(values), means, yerr=spreads, capsize=3, label=label, **style(index))
    style_widths(axes)


def style_widths(axes: Axes) -> None:
    from matplotlib.ticker import LogLocator

    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.xaxis.set_major_locator(LogLocator(base=2, numticks=12))
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(True, **GRID)


def mark_memorised(axes: Axes, view: View, case: str) -> None:
    """A line at the narrowest network that has memorised its training set."""
    width = view.memorised(case)
    if width is not None:
        least = percent(view.settings["memorised"], 0)
        axes.axvline(
            width, color="black", linestyle=":", linewidth=1.5, label=f"training reaches {least}"
        )


def draw_epochs(axes: Axes, curves: Sequence[Sequence[float]], label: str, index: int) -> None:
    shares = [[100 * value for value in curve] for curve in curves]
    draw_lines(axes, range(1, len(curves[0]) + 1), shares, label, index)


def in_percent(values: Mapping[int, Sequence[float]]) -> dict[int, list[float]]:
    return {width: [100 * value for value in found] for width, found in values.items()}

"""The figures of the study of activations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tinynn.studies.nonlinearity.networks import ACTIVATED, NETWORKS
from tinynn.studies.nonlinearity.plane import draw_borders, draw_plane, spirals
from tinynn.studies.nonlinearity.view import View
from tinynn.studies.shared.figures import GRID, draw_bars, draw_lines, new_figure, style
from tinynn.studies.shared.report import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tinynn.studies.shared.study import Results

__all__ = ["draw"]


def draw(results: Results) -> dict[str, Figure]:
    return {
        "boundaries.png": draw_boundaries(results),
        "errors.png": draw_errors(results),
        "losses.png": draw_losses(results),
        "time.png": draw_time(results),
        "pieces.png": draw_pieces(results),
    }


def draw_boundaries(results: Results) -> Figure:
    """The points, and what each network makes of the plane."""
    points = spirals(results.settings["plane_points"], results.conditions["seed"])
    figure = new_figure(11.0, 4.9)
    first, *panels = figure.subplots(2, 5).flat
    draw_plane(first, [], *points)
    first.set_title("to be told apart", fontsize=11)
    for name, axes in zip(NETWORKS, panels, strict=True):
        found = results.measured["plane"][name]
        draw_plane(axes, found["areas"], *points)
        axes.set_title(f"{name}: {percent(found['accuracy'])}", fontsize=11)
    return figure


def draw_errors(results: Results) -> Figure:
    """The share of test images that each network gets wrong."""
    runs = results.measured["runs"]
    figure = new_figure(7.5, 3.8)
    axes = figure.subplots()
    errors = [[100 * (1 - run["test_accuracy"]) for run in runs[name]] for name in NETWORKS]
    draw_bars(axes, list(NETWORKS), errors)
    axes.set_xlabel("test error (% of the images); bar: mean, dots: trainings")
    axes.set_title(f"{View(results).shape()}, and softmax regression")
    axes.set_xlim(left=0)
    return figure


def draw_losses(results: Results) -> Figure:
    """Training and validation loss by epoch."""
    from matplotlib.ticker import LogLocator

    runs = results.measured["runs"]
    figure = new_figure(11.0, 4.6)
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, key in ((left, "train_loss"), (right, "validation_loss")):
        for index, name in enumerate(NETWORKS):
            curves = [run[key] for run in runs[name]]
            draw_lines(axes, np.arange(1, len(curves[0]) + 1), curves, name, index)
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
        axes.set_xlabel("epoch (one pass over the training images)")
        axes.set_title(key.replace("train_", "training ").replace("_", " "))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(True, which="both", **GRID)
    left.set_ylabel("loss (nats per image)")
    figure.legend(*left.get_legend_handles_labels(), loc="outside right upper", fontsize=9)
    return figure


def draw_time(results: Results) -> Figure:
    """A training step of each network, and what leaving the activation out would save of it."""
    view = View(results)
    figure = new_figure(11.0, 3.8)
    left, *others = figure.subplots(1, 3, sharey=True)
    places = np.arange(len(NETWORKS))[::-1]
    batch = view.batches("training")[0]
    left.barh(
        places,
        [1e6 * view.seconds("training", batch, name) for name in NETWORKS],
        color="0.8",
        edgecolor="black",
    )
    left.set_yticks(places, list(NETWORKS))
    left.set_xlabel("µs")
    left.set_title(f"a training step, {batch} images")
    titles = ("saving in a training step", "saving in a forward pass")
    for axes, kind, title in zip(others, ("training", "inference"), titles, strict=True):
        for index, batch in enumerate(view.batches(kind)):
            savings = [view.saving(kind, batch, name) for name in ACTIVATED]
            axes.errorbar(
                [100 * saving.value for saving in savings],
                places[-len(ACTIVATED) :] + 0.15 - 0.3 * index,
                xerr=[200 * saving.error for saving in savings],
                label=f"{batch} images",
                capsize=3,
                **style(index) | {"linestyle": "none"},
            )
        axes.axvline(0, color="black", linewidth=1)
        axes.set_xlabel("% of the time, ± two standard errors")
        axes.set_title(title)
        axes.legend(loc="upper right", fontsize=9)
    for axes in (left, *others):
        axes.grid(True, axis="x", **GRID)
    return figure


def draw_pieces(results: Results) -> Figure:
    """The pieces of the plane on which the ReLU network is linear."""
    found = results.measured["plane"]["ReLU"]
    figure = new_figure(5.4, 5.4)
    axes = figure.subplots()
    draw_plane(axes, found["areas"])
    draw_borders(axes, found["borders"])
    axes.set_title(f"ReLU: {found['pieces']} pieces, linear on each", fontsize=11)
    return figure

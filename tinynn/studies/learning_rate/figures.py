"""The figures of the study of learning rates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.studies.learning_rate.view import View
from tinynn.studies.shared.figures import GRID, new_figure, style
from tinynn.studies.shared.report import mean, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tinynn.studies.shared.study import Results

__all__ = ["draw"]

EPOCHS = "epoch (one pass over the training images)"
# Where the crosses of diverged runs begin on an axis of errors, %.
LOST = 120.0
RATE = "learning rate (per step)"
DIVERGED: dict[str, Any] = {"marker": "x", "color": "black", "linestyle": "none", "markersize": 6}
RUN: dict[str, Any] = {"marker": "o", "color": "black", "linestyle": "none", "markersize": 4}


def draw(results: Results) -> dict[str, Figure]:
    view = View(results)
    return {
        "oscillation.png": draw_oscillation(view),
        "curvature.png": draw_curvature(view),
        "rates.png": draw_rates(view),
        "schedules.png": draw_schedules(view),
    }


# ---- the case


def draw_oscillation(view: View) -> Figure:
    figure = new_figure(11.0, 4.6)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    for index, run in enumerate(view.shown_runs()):
        look = style(index)
        epochs = np.arange(1, len(run["train_accuracy"]) + 1)
        name = f"rate {run['rate']:g}, batch {run['batch_size']}"
        left.plot(epochs, 100 * np.array(run["train_accuracy"]), label=f"{name}: training", **look)
        left.plot(
            epochs,
            100 * np.array(run["validation_accuracy"]),
            label=f"{name}: validation",
            **{**look, "linestyle": ":", "markerfacecolor": "white"},
        )
    left.set_xlabel(EPOCHS)
    left.set_ylabel("accuracy (%)")
    left.set_ylim(0, 101)
    left.xaxis.get_major_locator().set_params(integer=True)
    left.set_title("accuracy by epoch")
    left.legend(loc="center right", fontsize=8)
    left.grid(True, **GRID)
    draw_variations(right, view)
    return figure


def draw_variations(axes: Axes, view: View) -> None:
    """A row for each change to the case, a dot for each run that ended, a cross for the others."""
    labels = view.variations()
    for place, label in enumerate(reversed(labels)):
        runs = view.variation(label)
        ended = [100 * run["validation_accuracy"][-1] for run in runs if run["diverged"] is None]
        lost = len(runs) - len(ended)
        axes.plot(ended, [place] * len(ended), **RUN)
        axes.plot([-6 - 5 * number for number in range(lost)], [place] * lost, **DIVERGED)
    axes.axvline(-1, color="0.5", linewidth=0.8)
    axes.set_yticks(range(len(labels)), labels[::-1], fontsize=8)
    axes.set_xlim(-5 * view.most_runs() - 6, 102)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel("validation accuracy at the end (%); x: a run that diverged")
    axes.set_title(f"rate {view.case}, with one thing changed")
    axes.grid(True, **GRID)


# ---- steps against curvature


def draw_curvature(view: View) -> Figure:
    figure = new_figure(12.5, 4.2)
    first, second, third = figure.subplots(1, 3)
    for index, (product, distances) in enumerate(view.measured["walk"]["walks"].items()):
        first.plot(distances, label=f"rate x eigenvalue = {product}", **style(index))
    first.set_ylim(-5, 8)
    first.set_xlabel("step")
    first.set_ylabel("distance to the lowest point (of the first)")
    first.set_title("steps in the direction that bends most")
    first.legend(fontsize=8, loc="upper left")
    for index, descent in enumerate(view.descents_by_rate()):
        look = style(index)
        steps = [point["step"] for point in descent["looks"]]
        values = [point["value"] for point in descent["looks"]]
        second.plot(
            steps,
            values,
            label=f"rate {descent['rate']:g}",
            markevery=4,
            **{**look, "markersize": 3},
        )
        second.axhline(2 / descent["rate"], color=look["color"], linestyle=":", linewidth=1)
        third.plot(descent["losses"], color=look["color"], linestyle=look["linestyle"])
    second.set_ylim(0.7, 150)
    second.set_ylabel("curvature (largest eigenvalue of the Hessian)")
    second.set_title("largest eigenvalue; dotted: 2 / rate")
    third.set_ylabel("training loss (nats per image)")
    third.set_ylim(1e-3, 30)
    third.set_title("loss of all images at once")
    for axes in (second, third):
        axes.set_yscale("log")
        axes.set_xlabel("step of gradient descent")
    second.legend(fontsize=8, loc="upper right", ncols=2)
    for axes in (first, second, third):
        axes.grid(True, **GRID)
    return figure


# ---- rates


def draw_rates(view: View) -> Figure:
    figure = new_figure(12.5, 3.9)
    panels = figure.subplots(1, 3)
    draw_final(panels[0], view)
    draw_time(panels[1], view)
    draw_range_test(panels[2], view)
    for axes in panels:
        axes.set_xscale("log")
        axes.set_xlabel(RATE)
        axes.grid(True, **GRID)
    return figure


def draw_final(axes: Axes, view: View) -> None:
    for rate, runs in view.by_rate():
        ended = [
            100 - 100 * run["validation_accuracy"][-1] for run in runs if run["diverged"] is None
        ]
        lost = len(runs) - len(ended)
        axes.plot([rate] * len(ended), ended, **RUN)
        axes.plot([rate] * lost, [LOST * 1.3**number for number in range(lost)], **DIVERGED)
    axes.axhline(100, color="0.5", linewidth=0.8)
    axes.set_yscale("log")
    ticks = (1, 2, 5, 10, 20, 50, 100)
    axes.set_yticks(ticks, [str(tick) for tick in ticks])
    axes.set_yticks([], minor=True)
    axes.set_ylabel("validation error at the end (%)")
    axes.set_title(f"after {view.settings['epochs']} epochs; x: diverged")


def draw_time(axes: Axes, view: View) -> None:
    never = view.settings["epochs"] + 1
    for index, target in enumerate(view.settings["targets"]):
        points = [(rate, view.epochs_to(runs, target)) for rate, runs in view.by_rate()]
        rates = [rate for rate, _ in points]
        epochs = [never if epoch is None else epoch for _, epoch in points]
        axes.plot(rates, epochs, label=f"to {percent(target, 0)} validation", **style(index))
    axes.set_yticks([*range(1, never), never], [*map(str, range(1, never)), "never"])
    axes.set_ylabel("epochs (mean over the runs)")
    axes.set_title("how long it takes")
    axes.legend(fontsize=8, loc="lower left")


def draw_range_test(axes: Axes, view: View) -> None:
    found = view.measured["range_test"]
    axes.plot(found["rates"], found["losses"], color="black", label="smoothed loss")
    if found["suggestion"] is not None:
        label = f"suggested: {found['suggestion']:.2g}"
        axes.axvline(found["suggestion"], color="tab:blue", linestyle="--", label=label)
    axes.set_ylabel("loss of a batch (nats per image)")
    axes.set_ylim(0, 1.3 * found["losses"][0])
    axes.set_title("learning-rate range test")
    axes.legend(fontsize=8, loc="lower left")


# ---- schedules


def draw_schedules(view: View) -> Figure:
    runs = [
        view.first(group, name) for group in view.schedule_groups() for name in view.names(group)
    ]
    columns = 5
    rows = -(-len(runs) // columns)
    figure = new_figure(13.0, 2.5 * rows + 0.3)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    top = 1.1 * max(max(run["rates"]) for run in runs)
    for place, (axes, run) in enumerate(zip(panels, runs, strict=False)):
        draw_schedule(axes, run, view.settings["epochs"], top, place, columns)
    for axes in panels[len(runs) :]:
        axes.set_axis_off()
    figure.supxlabel(EPOCHS, fontsize=10)
    figure.suptitle("solid: training loss (left axis); dashed: learning rate (right axis)")
    return figure


def draw_schedule(
    axes: Axes, run: dict[str, Any], epochs: int, top: float, place: int, columns: int
) -> None:
    # A run that diverged has fewer steps than the others.
    share = np.linspace(0, 1, len(run["losses"]))
    done = epochs * run["steps"] / max(run["planned_steps"], 1)
    axes.plot(done * share, run["losses"], color="black", linewidth=1)
    axes.set_yscale("log")
    axes.set_ylim(5e-3, 5)
    rates = axes.twinx()
    rates.plot(done * np.linspace(0, 1, len(run["rates"])), run["rates"], "--", color="tab:blue")
    rates.set_ylim(0, top)
    end = percent(mean([run["validation_accuracy"][-1]])) if not run["diverged"] else "diverged"
    axes.set_title(f"{run['label']}, from {run['rate']:g}: {end}", fontsize=9)
    if place % columns == 0:
        axes.set_ylabel("loss (nats)")
    if place % columns == columns - 1:
        rates.set_ylabel("rate (per step)")
    else:
        rates.set_yticklabels([])
    axes.grid(True, **GRID)

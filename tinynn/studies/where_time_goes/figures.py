"""The figures of the study of a step's time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.studies.shared.figures import GRID, new_figure
from tinynn.studies.shared.report import counted, percent
from tinynn.studies.where_time_goes.steps import (
    ELEMENTWISE,
    ENGINES,
    MEMORY,
    OPTIMIZER,
    PARTS,
    PRODUCTS,
    PYTHON,
)
from tinynn.studies.where_time_goes.view import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tinynn.studies.shared.study import Results

__all__ = ["draw"]

# From dark to light, and hatched where two could be mistaken for each other.
LOOKS: dict[str, dict[str, Any]] = {
    PRODUCTS: {"facecolor": "#1f4e79"},
    ELEMENTWISE: {"facecolor": "#5b9bd5", "hatch": "////"},
    OPTIMIZER: {"facecolor": "#b7d7f0"},
    MEMORY: {"facecolor": "#e8833a", "hatch": "...."},
    PYTHON: {"facecolor": "#ffe9b8"},
}
WIDTH = 0.38
# Calls that take less of the step are drawn as one.
LEAST = 0.01


def draw(results: Results) -> dict[str, Figure]:
    view = View(results)
    return {"time.png": draw_time(view), "calls.png": draw_all_calls(view)}


def draw_time(view: View) -> Figure:
    """The parts of a step by network, batch and engine."""
    figure = new_figure(12.8, 5.0)
    ratios = [len(view.batches(network)) + 0.5 for network in view.networks()]
    panels = figure.subplots(1, len(ratios), width_ratios=ratios)
    for axes, network in zip(panels, view.networks(), strict=True):
        draw_parts(axes, view, network)
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=len(PARTS) + 1, fontsize=9)
    return figure


def draw_all_calls(view: View) -> Figure:
    """The calls of a compiled step, by network."""
    from matplotlib.patches import Patch

    figure = new_figure(12.8, 5.0)
    panels = figure.subplots(1, len(view.networks()))
    for axes, network in zip(panels, view.networks(), strict=True):
        draw_calls(axes, view, network)
    shown = [part for part in PARTS if part != MEMORY]  # of which a compiled step has none
    boxes = [Patch(edgecolor="black", linewidth=0.6, label=part, **LOOKS[part]) for part in shown]
    figure.legend(handles=boxes, loc="outside upper center", ncols=len(shown), fontsize=9)
    return figure


def draw_parts(axes: Axes, view: View, network: str) -> None:
    batches = view.batches(network)
    top = 0.0
    for place, batch in enumerate(batches):
        images = int(batch)
        for engine, shift in zip(ENGINES, (-WIDTH / 2 - 0.02, WIDTH / 2 + 0.02), strict=True):
            base = 0.0
            for part in PARTS:
                height = 1e6 * max(view.part(network, batch, engine, part).value, 0.0) / images
                label = part if place == 0 and engine == ENGINES[0] else None
                look = LOOKS[part] | {"edgecolor": "black", "linewidth": 0.6}
                axes.bar(place + shift, height, WIDTH, base, label=label, **look)
                base += height
            ratio = view.over_products(network, batch, engine).value
            axes.annotate(
                f"{ratio:.2f}",
                (place + shift, base),
                (0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
            top = max(top, base)
        bare = 1e6 * view.products(network, batch) / images
        axes.plot([place - 0.45, place + 0.45], [bare] * 2, color="black", linewidth=1.6)
    axes.plot([], [], color="black", linewidth=1.6, label="the bare products")
    axes.set_ylim(0, 1.12 * top)
    axes.set_xticks(range(len(batches)), batches)
    axes.set_xlabel("images in a step; left: eager, right: compiled")
    axes.set_ylabel("time per image (µs)")
    axes.set_title(f"{network} (above: the step / its bare products)", fontsize=11)
    axes.grid(True, axis="y", **GRID)
    axes.set_axisbelow(True)


def draw_calls(axes: Axes, view: View, network: str) -> None:
    """A bar for each call of the compiled step, in order."""
    calls = view.calls(network)
    large = [call for call in calls if call.share >= LEAST]
    small = [call for call in calls if call.share < LEAST]
    names = [f"{call.operation}: {call.name}  {call.number}" for call in large]
    values = [1e6 * call.seconds for call in large]
    looks = [LOOKS[call.part] for call in large]
    if small:
        names.append(f"{counted(len(small), 'call')} below {percent(LEAST, 0)} each")
        values.append(1e6 * sum(call.seconds for call in small))
        looks.append({"facecolor": "white"})
    rest = view.part(network, view.shown, "compiled", PYTHON).value
    names.append("what Python takes besides")
    values.append(1e6 * rest)
    looks.append(LOOKS[PYTHON])
    places = np.arange(len(names))[::-1]
    for place, value, look in zip(places, values, looks, strict=True):
        axes.barh(place, value, edgecolor="black", linewidth=0.6, **look)
    axes.set_yticks(places, names, fontsize=8)
    axes.set_xlabel("time in a step (µs)")
    axes.set_title(f"{network}: calls of a compiled step of {view.shown} images", fontsize=11)
    axes.grid(True, axis="x", **GRID)
    axes.set_axisbelow(True)

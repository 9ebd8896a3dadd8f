"""The figures of the study of quantization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.studies.quantization.layers import KINDS
from tinynn.studies.quantization.outliers import INPUT_WAYS, WEIGHT_WAYS
from tinynn.studies.quantization.settings import COARSE
from tinynn.studies.quantization.view import CAUSES, ENDS, READ, WRITTEN, View
from tinynn.studies.shared.figures import GRID, new_figure, style
from tinynn.studies.shared.report import mean, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tinynn.studies.shared.study import Results

__all__ = ["draw"]

# Formats that lie on another's mark, or beside it: bf16 on fp16, int8 beside int8-32.
HIDDEN = ("bf16", "int8")
HARM = "divergence of the next token (mnat)"
# From white to black, so that neighbours differ in a greyscale print.
FILLS = ("white", "0.65", "0.15")


def draw(results: Results) -> dict[str, Figure]:
    view = View(results)
    return {
        "formats.png": draw_formats(view),
        "sizes.png": draw_sizes(view),
        "layers.png": draw_layers(view),
        "causes.png": draw_causes(view),
        "outliers.png": draw_outliers(view),
    }


def draw_formats(view: View) -> Figure:
    """Perplexity against memory, and the tokens a second of each format."""
    figure = new_figure(12.0, 4.2)
    lost, read, written = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
    for index, format in enumerate(view.formats):
        size, value = view.bytes(format) / 1e6, view.perplexity(format)
        lost.plot(size, value, **style(index) | {"markersize": 7, "linestyle": ""}, label=format)
    lost.set_xscale("log", base=2)
    sizes = [2**power for power in range(-4, 14)]
    low, high = (edge(view.bytes(f) / 1e6 for f in view.formats) for edge in (min, max))
    ticks = [size for size in sizes if low / 2 < size < high * 2]
    lost.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    lost.minorticks_off()
    lost.set_xlabel("weights (MB)")
    lost.set_ylabel("perplexity")
    lost.grid(True, **GRID)
    lost.legend(fontsize=9)
    for axes, kind, title in ((read, READ, "a prompt read"), (written, WRITTEN, "a text written")):
        places = np.arange(len(view.formats))[::-1]
        rates = [view.rate(kind, format) for format in view.formats]
        axes.barh(places, rates, color="0.8", edgecolor="black")
        axes.set_yticks(places, view.formats)
        axes.set_xlabel("tokens/s")
        axes.set_title(title, fontsize=11)
        axes.grid(True, axis="x", **GRID)
    return figure


def draw_sizes(view: View) -> Figure:
    """Loss against memory for both networks, a mark for each format."""
    figure = new_figure(9.0, 4.6)
    axes = figure.subplots()
    for index, width in enumerate(view.widths):
        formats = view.network_formats
        sizes = [view.network_bytes(width, format) / 1e6 for format in formats]
        losses = [view.network_losses(width, format) for format in formats]
        means = [mean(values) for values in losses]
        look = style(index) | {"linestyle": "", "markersize": 6}
        axes.plot(sizes, means, label=f"width {width}", **look)
        for size, values in zip(sizes, losses, strict=True):
            axes.plot([size] * 2, [min(values), max(values)], color=look["color"], linewidth=1)
        for format, size, value in zip(formats, sizes, means, strict=True):
            if format not in HIDDEN:
                offset: dict[str, Any] = {
                    "xytext": (4, 5),
                    "textcoords": "offset points",
                    "rotation": 40,
                }
                axes.annotate(format, (size, value), fontsize=8, **offset)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda size, place: f"{size:g}")
    axes.margins(0.08, 0.25)
    axes.set_xlabel("weights (MB)")
    axes.set_ylabel("loss on unseen text (nats per character)")
    axes.set_title("mark: mean of the trainings, line: from the least to the greatest", fontsize=11)
    axes.grid(True, **GRID)
    axes.legend(loc="upper right")
    return figure


def draw_layers(view: View) -> Figure:
    """What follows from one layer made coarse, by kind and depth."""
    from matplotlib.colors import LogNorm

    figure = new_figure(11.0, 3.4)
    axes, bars = figure.subplots(1, 2, width_ratios=(4, 1))
    harms = 1e3 * np.array([view.of_layers(kind, "divergence") for kind in KINDS])
    norm = LogNorm(max(harms.min(), harms.max() / 1e3), harms.max())
    image = axes.imshow(harms, cmap="Greys", norm=norm, aspect="auto")
    axes.set_yticks(range(len(KINDS)), list(KINDS))
    depths = range(0, view.depths, max(1, view.depths // 10))
    axes.set_xticks(list(depths), [str(depth + 1) for depth in depths])
    axes.set_xlabel(f"layer; it alone is made {COARSE}")
    figure.colorbar(image, ax=axes, label="divergence (mnat)")
    names = [*KINDS, *(f"table, {end}" for end in ENDS)]
    values = [1e3 * view.hurt_by(kind) for kind in KINDS]
    values += [1e3 * view.end(end) for end in ENDS]
    places = np.arange(len(names))[::-1]
    bars.barh(places, values, color="0.8", edgecolor="black")
    bars.set_yticks(places, names)
    bars.set_xlabel("all of a kind (mnat)")
    bars.grid(True, axis="x", **GRID)
    return figure


def draw_causes(view: View) -> Figure:
    """The harm that each single layer does, against what may cause it."""
    from matplotlib.ticker import NullLocator

    figure = new_figure(12.0, 4.2)
    panels = figure.subplots(1, len(CAUSES), sharey=True)
    for axes, (cause, words) in zip(panels, CAUSES.items(), strict=True):
        for index, kind in enumerate(KINDS):
            look = style(index) | {"linestyle": "", "markersize": 5, "markerfacecolor": "none"}
            harms = [1e3 * value for value in view.of_layers(kind, "divergence")]
            label = f"{kind}: {view.order_kept(cause, kind):+.2f}"
            axes.plot(view.of_layers(kind, cause), harms, label=label, **look)
        axes.set_xscale("log")
        axes.set_yscale("log")
        every = np.concatenate([view.of_layers(kind, cause) for kind in KINDS])
        ticks = np.geomspace(every.min(), every.max(), 4)
        axes.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(f"{words}{'' if cause == 'error' else ' (multiples of rms)'}")
        axes.grid(True, **GRID)
        axes.legend(fontsize=8, title="rank correlation", title_fontsize=8, ncols=2)
    panels[0].set_ylabel(HARM)
    low, high = panels[0].get_ylim()
    panels[0].set_ylim(low, high * (high / low) ** 0.25)  # room for the legends
    return figure


def draw_outliers(view: View) -> Figure:
    """What is lost with some columns exact, of coarse weights and of rounded inputs."""
    figure = new_figure(12.0, 4.4)
    kept = percent(view.settings["kept"], 0)
    parts: dict[str, tuple[str, dict[str, str]]] = {
        "weights": (
            f"weights made {COARSE}",
            dict(zip(WEIGHT_WAYS, of_weights(kept), strict=True)),
        ),
        "inputs": (
            "inputs rounded to 8 bits",
            dict(zip(INPUT_WAYS, of_inputs(kept), strict=True)),
        ),
    }
    for axes, (part, (title, ways)) in zip(figure.subplots(1, 2), parts.items(), strict=True):
        draw_ways(axes, view, part, ways)
        axes.set_title(title, fontsize=11)
    return figure


def of_weights(kept: str) -> tuple[str, ...]:
    return "all columns", f"{kept} exact, at random", f"{kept} exact, of the largest inputs"


def of_inputs(kept: str) -> tuple[str, ...]:
    return "a scale a token", f"a scale a token, {kept} exact", "a scale for 32 columns"


def draw_ways(axes: Axes, view: View, part: str, ways: dict[str, str]) -> None:
    height = 0.8 / len(ways)
    places = np.arange(len(view.names))[::-1]
    for index, (way, words) in enumerate(ways.items()):
        options: dict[str, Any] = {"color": FILLS[index], "edgecolor": "black", "label": words}
        values = [1e3 * view.divergence(name, part, way) for name in view.names]
        axes.barh(places + (1 - index) * height, values, height, **options)
    axes.set_yticks(places, view.names)
    axes.set_xlabel(HARM)
    axes.grid(True, axis="x", **GRID)
    axes.legend(fontsize=9, loc="best")

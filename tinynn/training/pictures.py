"""The pictures of a run: curves, confusions, mistakes, weights, the search for a learning rate.

Each function draws one PNG, written whole or not at all. Lines differ in style and marker as well
as in colour, so that a greyscale print reads the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinynn.training.figure import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tinynn.io.atomic import StrPath

__all__ = ["draw_confusion", "draw_curves", "draw_lr_range", "draw_mistakes", "draw_weights"]

TRAIN_STYLE = {"color": "tab:blue", "linestyle": "-", "marker": "o", "markersize": 4}
VALIDATION_STYLE = {"color": "tab:orange", "linestyle": "--", "marker": "s", "markersize": 4}
# A logarithmic axis once the largest value is this many times the smallest.
LOG_SCALE_FROM = 20.0
UNITS = {"loss": "nats per sample", "accuracy": "%", "learning rate": "per step"}


def draw_curves(
    history: Sequence[Mapping[str, Any]],
    path: StrPath,
    kept_epoch: int | None = None,
    by: str = "epoch",
    unit: str | None = None,
) -> None:
    """Draws loss, metrics and learning rate by epoch, a panel each, from the rows of metrics.jsonl.

    A row holds `epoch`, `learning_rate`, `train_<name>` and, where there was a validation set,
    `validation_<name>`. A vertical line marks `kept_epoch`. With `by="step"` steps are what goes
    to the right; `unit` is that of the loss. ValueError when there are no rows.
    """
    if not history:
        raise ValueError("draw_curves: history has no rows, expected at least one finished epoch")
    names = [key.removeprefix("train_") for key in history[0] if key.startswith("train_")]
    figure = new_figure(4.2 * (len(names) + 1), 3.6)
    panels = figure.subplots(1, len(names) + 1, squeeze=False)[0]
    for name, axes in zip(names, panels, strict=False):
        for part, style in (("train", TRAIN_STYLE), ("validation", VALIDATION_STYLE)):
            _draw_series(axes, history, f"{part}_{name}", label=part, style=style, by=by, unit=unit)
        if kept_epoch is not None:
            label = f"kept: epoch {kept_epoch}"
            axes.axvline(kept_epoch, color="black", linestyle=":", label=label)
        axes.legend()
    label = "at the epoch's end" if by == "epoch" else "at the step"
    _draw_series(panels[-1], history, "learning_rate", label, TRAIN_STYLE, by)
    panels[-1].legend()
    save_figure(figure, path)


def _draw_series(
    axes: Axes,
    history: Sequence[Mapping[str, Any]],
    key: str,
    label: str,
    style: Mapping[str, Any],
    by: str = "epoch",
    unit: str | None = None,
) -> None:
    from matplotlib.ticker import MaxNLocator

    points = [(row[by], row[key]) for row in history if row.get(key) is not None]
    if not points:
        return
    name = key.removeprefix("train_").removeprefix("validation_").replace("_", " ")
    unit = unit if unit and name == "loss" else UNITS.get(name, "no unit")
    epochs = [epoch for epoch, _ in points]
    values = [100 * value if unit == "%" else value for _, value in points]
    axes.plot(epochs, values, label=label, markevery=max(1, len(epochs) // 20), **style)
    if name == "loss" and min(values) > 0 and max(values) > LOG_SCALE_FROM * min(values):
        axes.set_yscale("log")
    axes.set_title(name)
    axes.set_xlabel(by)
    axes.set_ylabel(f"{name} ({unit})")
    axes.set_xlim(*((0.5, max(epochs) + 0.5) if by == "epoch" else (0, 1.03 * max(epochs))))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(True, alpha=0.3)


def draw_confusion(matrix: ArrayLike, path: StrPath, classes: Sequence[str] | None = None) -> None:
    """Draws a confusion matrix: `matrix[true, predicted]` counts, shape (classes, classes), int.

    The counts are written in the cells; the shade is the share of the true class, on a root scale,
    because on a linear one the few mistakes of a good network would all be white.
    """
    counts = np.asarray(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(
            f"draw_confusion: matrix has shape {counts.shape}, expected (classes, classes)"
        )
    names = list(classes) if classes is not None else [str(i) for i in range(len(counts))]
    share = np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    side = max(4.0, 0.62 * len(names) + 1.2)
    figure = new_figure(side + 0.4, side)
    axes = figure.subplots()
    axes.imshow(share, cmap="Greys", vmin=0, vmax=1)
    for (true, predicted), count in np.ndenumerate(counts):
        dark = share[true, predicted] > 0.5
        axes.text(
            predicted, true, f"{count}", ha="center", va="center", fontsize=8,
            color="white" if dark else "black" if count else "0.7",
        )  # fmt: skip
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    correct = np.trace(counts)
    axes.set_title(f"{correct:,} of {counts.sum():,} images right (counts)", fontsize=11)
    save_figure(figure, path)


def draw_mistakes(
    images: ArrayLike,
    targets: ArrayLike,
    probabilities: ArrayLike,
    path: StrPath,
    classes: Sequence[str] | None = None,
    limit: int = 32,
) -> None:
    """Draws the images a classifier got most wrong: those whose wrong answer it was surest of.

    Arguments:
        images: pixels, shape (samples, height, width), 0 is background.
        targets: true classes, shape (samples,), int.
        probabilities: the classifier's answers, shape (samples, classes), float, rows sum to 1.
        limit: how many to draw at most.
    """
    pixels, truth, chances = np.asarray(images), np.asarray(targets), np.asarray(probabilities)
    worst = surest_mistakes(truth, chances, limit)
    wrong = int((chances.argmax(axis=1) != truth).sum())
    names = list(classes) if classes is not None else [str(i) for i in range(chances.shape[1])]
    width = pixels.shape[2]
    # Room for a line of text over each image.
    picture, corners = mosaic(pixels[worst].astype(float), columns=8, gap=width // 4)
    figure = new_figure(picture.shape[1] / 28, picture.shape[0] / 28 + 0.5)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.imshow(picture, cmap="gray_r", interpolation="nearest")
    fontsize = 9 if max(map(len, names)) <= 3 else 6
    for index, (top, left) in zip(worst, corners, strict=True):
        predicted = chances[index].argmax()
        answer = f"{names[truth[index]]} → {names[predicted]}, {chances[index, predicted]:.1%}"
        axes.text(left + width / 2, top - 1, answer, ha="center", va="bottom", fontsize=fontsize)
    shown = f"the surest {len(worst)} of" if len(worst) < wrong else "all"
    figure.suptitle(
        f"{shown} {wrong:,} mistakes in {len(truth):,} images\n"
        "true class → predicted class, its probability",
        fontsize=9,
    )
    save_figure(figure, path)


def surest_mistakes(
    targets: NDArray[Any], probabilities: NDArray[Any], limit: int
) -> NDArray[np.int64]:
    """The indices of wrong answers, that with the greatest probability first.

    >>> probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    >>> surest_mistakes(np.array([0, 0, 0]), probabilities, limit=2).tolist()
    [2, 1]
    """
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != targets)
    order = np.argsort(-probabilities.max(axis=1)[wrong], kind="stable")
    return wrong[order][:limit]


def mosaic(
    images: NDArray[np.floating[Any]], columns: int, gap: int
) -> tuple[NDArray[Any], list[tuple[int, int]]]:
    """Puts images (count, height, width) side by side, `gap` pixels of NaN before and after each.

    Returns the picture and where each image begins in it: (top, left).

    >>> picture, corners = mosaic(np.ones((3, 2, 2)), columns=2, gap=1)
    >>> picture.shape, corners
    ((7, 7), [(1, 1), (1, 4), (4, 1)])
    """
    count, height, width = images.shape
    rows, columns = max(1, -(-count // columns)), max(1, min(columns, count))
    picture = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap), np.nan)
    corners = [
        (row * (height + gap) + gap, column * (width + gap) + gap)
        for row in range(rows)
        for column in range(columns)
    ][:count]
    for image, (top, left) in zip(images, corners, strict=True):
        picture[top : top + height, left : left + width] = image
    return picture, corners


def draw_weights(
    weight: ArrayLike, path: StrPath, shape: tuple[int, int] = (28, 28), limit: int = 64
) -> None:
    """Draws a first layer's weights as images: mid grey is 0, white positive, black negative.

    Arguments:
        weight: shape (out_features, height * width), float; the `limit` rows of greatest norm are
            drawn.
        shape: height and width of an image, pixels.
    """
    rows = np.asarray(weight)
    if rows.ndim != 2 or rows.shape[1] != shape[0] * shape[1]:
        raise ValueError(
            f"draw_weights: weight has shape {rows.shape}, expected (units, {shape[0] * shape[1]}) "
            f"for images of {shape[0]}x{shape[1]} pixels"
        )
    strongest = np.argsort(-np.linalg.norm(rows, axis=1), kind="stable")[:limit]
    images = rows[strongest].reshape(-1, *shape).astype(float)
    # The few largest weights would turn all the others grey.
    bound = float(np.percentile(np.abs(images), 99.5)) or 1.0
    picture, _ = mosaic(images, columns=8 if len(images) > 10 else 5, gap=2)
    figure = new_figure(picture.shape[1] / 28 + 1.0, picture.shape[0] / 28 + 0.5)
    axes = figure.subplots()
    axes.set_axis_off()
    shown = axes.imshow(picture, cmap="gray", vmin=-bound, vmax=bound, interpolation="nearest")
    figure.colorbar(shown, ax=axes, shrink=0.8, label="weight (no unit)", extend="both")
    count = f"{len(images)} of {len(rows)}" if len(images) < len(rows) else f"all {len(rows)}"
    figure.suptitle(f"first layer: {count} units, greatest norm first", fontsize=10)
    save_figure(figure, path)


def draw_lr_range(
    learning_rates: Sequence[float],
    losses: Sequence[float],
    path: StrPath,
    suggestion: float | None = None,
) -> None:
    """Draws the curve of a learning-rate range test: loss against learning rate, logarithmic."""
    figure = new_figure(6.0, 4.0)
    axes = figure.subplots()
    axes.plot(learning_rates, losses, color="tab:blue", linestyle="-", label="smoothed loss")
    if suggestion is not None:
        axes.axvline(suggestion, color="black", linestyle=":", label=f"suggested: {suggestion:.2g}")
    axes.set_xscale("log")
    # The last losses, where training blows up, would flatten the part that matters.
    finite = [value for value in losses if np.isfinite(value)]
    if finite:
        low, first = min(finite), finite[0]
        margin = 0.1 * max(first - low, 1e-3)
        axes.set_ylim(low - margin, min(max(finite), first + (first - low)) + margin)
    axes.set_xlabel("learning rate (per step)")
    axes.set_ylabel("loss (nats per sample)")
    axes.set_title("learning-rate range test")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    save_figure(figure, path)

"""A figure apart from pyplot's state and its windows, and the file it goes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tinynn.io.atomic import StrPath

__all__ = ["new_figure", "save_figure"]

DOTS_PER_INCH = 120
# Width and height in inches: room for a title.
SMALLEST = (4.0, 1.5)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of about width x height inches."""
    from matplotlib.figure import Figure

    size = (max(width, SMALLEST[0]), max(height, SMALLEST[1]))
    return Figure(figsize=size, layout="constrained", dpi=DOTS_PER_INCH)


def save_figure(figure: Figure, path: StrPath) -> None:
    """Writes a PNG, whole or not at all."""
    from tinynn.io.atomic import atomic_write

    with atomic_write(path) as file:
        figure.savefig(file, format="png")

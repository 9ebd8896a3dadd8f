"""Points of a plane in spiral arms, and how networks divide the plane among the arms.

What a network decides of every point of a plane can be drawn, as that of images cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinynn.autograd import Tensor, no_grad
from tinynn.backend.random import manual_seed
from tinynn.models import MLP
from tinynn.nn import CrossEntropyLoss
from tinynn.ops.conversion import host
from tinynn.optim import AdamW
from tinynn.optim.lr_scheduler import CosineAnnealingLR
from tinynn.studies.nonlinearity.linearity import pieces
from tinynn.studies.nonlinearity.networks import NETWORKS, Settings
from tinynn.studies.shared.workers import Place, Workers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_borders", "draw_plane", "run_plane", "spirals"]

ARMS = 3
NOISE = 0.03
# The square that is looked at: from -REACH to REACH in both directions, SIDE x SIDE points.
REACH, SIDE = 1.15, 240
# The arms' areas, three greys on paper, and their points.
AREAS = ("#fdf2cc", "#b3d2ea", "#d191a3")
PLACE: dict[str, Any] = {"origin": "lower", "extent": (-REACH, REACH, -REACH, REACH)}
POINTS: tuple[dict[str, Any], ...] = (
    {"marker": "o", "linestyle": "none", "color": "#f7b500"},
    {"marker": "s", "linestyle": "none", "color": "#1f6fae"},
    {"marker": "^", "linestyle": "none", "color": "#5b0f25"},
)


class PlaneTask(NamedTuple):
    """A network to train on spiral arms."""

    activation: str
    hidden: tuple[int, ...]
    rate: float
    steps: int
    points: int
    seed: int


def spirals(points: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Points along spiral arms: positions (points, 2), and the arm of each, in turn.

    An arm goes once around the centre, so that straight lines cannot tell the arms apart.

    >>> positions, arms = spirals(6, seed=0)
    >>> positions.shape, arms.tolist()
    ((6, 2), [0, 1, 2, 0, 1, 2])
    """
    random = np.random.default_rng(seed)
    arms = np.arange(points) % ARMS
    radius = np.sqrt(random.uniform(0.01, 1.0, points))  # as dense outside as inside
    angle = 2 * np.pi * (arms / ARMS + radius)
    line = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return (line + random.normal(0, NOISE, line.shape)).astype(np.float32), arms


def learn_plane(place: Place, task: PlaneTask) -> dict[str, Any]:
    """Trains a network with AdamW, all points at once, and looks at what it makes of the plane.

    Returns its last loss (nats per point); its accuracy on ten times as many other points; which
    arm each point of the square is taken for ("areas", digits as text, a string for each row, the
    lowest first); and of a ReLU network how many pieces it is linear on and, in the same form,
    their borders (1).
    """
    manual_seed(task.seed)
    model = MLP((2, *task.hidden, ARMS), task.activation).to(device=place.device)
    loss = _fit(model, task, *_tensors(place, *spirals(task.points, task.seed)))
    others, their_arms = spirals(10 * task.points, task.seed + 1)
    steps = np.linspace(-REACH, REACH, SIDE, dtype=np.float32)
    square = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    positions, corners = _tensors(place, others, square)
    with no_grad():
        answers, areas = (host(model(points)).argmax(axis=1) for points in (positions, corners))
    numbers = pieces(model, corners).reshape(SIDE, SIDE)
    return {
        "loss": loss,
        "accuracy": float((answers == their_arms).mean()),
        "areas": _picture(areas.reshape(SIDE, SIDE)),
        "pieces": len(np.unique(numbers)),
        "borders": _picture(_borders(numbers)) if task.activation == "relu" else None,
    }


def _tensors(place: Place, *arrays: NDArray[Any]) -> list[Tensor]:
    return [Tensor(array).to(device=place.device) for array in arrays]


def _fit(model: MLP, task: PlaneTask, positions: Tensor, arms: Tensor) -> float:
    """Takes the task's steps and returns the loss of the last."""
    optimizer = AdamW(model.parameters(), task.rate, weight_decay=0.0)
    scheduler = CosineAnnealingLR(optimizer, task.steps)
    measure = CrossEntropyLoss()
    for _ in range(task.steps):
        loss = measure(model(positions), arms)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
    return float(loss.item())


def _borders(numbers: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """1 where the number to the right or in the next row is another, else 0.

    >>> _borders(np.array([[7, 7, 8], [7, 7, 8], [9, 9, 9]])).tolist()
    [[0, 1, 0], [1, 1, 1], [0, 0, 0]]
    """
    result = np.zeros(numbers.shape, np.int64)
    result[:, :-1] |= numbers[:, :-1] != numbers[:, 1:]
    result[:-1] |= numbers[:-1] != numbers[1:]
    return result


def run_plane(settings: Settings, seed: int, workers: Workers) -> dict[str, dict[str, Any]]:
    """What each network makes of the plane, at the rate with the least loss after training."""
    grid = [(name, rate) for name in reversed(NETWORKS) for rate in settings.plane_rates]
    tasks = [
        PlaneTask(
            NETWORKS[name],
            settings.plane_hidden if settings.hidden_of(name) else (),
            rate,
            settings.plane_steps,
            settings.plane_points,
            seed,
        )
        for name, rate in grid
    ]
    found = dict(zip(grid, workers.map("networks in the plane", learn_plane, tasks), strict=True))
    return {
        name: min((found[name, rate] for rate in settings.plane_rates), key=lambda run: run["loss"])
        for name in NETWORKS
    }


# ---- pictures


def _picture(rows: NDArray[np.integer[Any]]) -> list[str]:
    """Digits as text, a string for each row, lowest y first.

    >>> _picture(np.array([[0, 1], [2, 2]]))
    ['01', '22']
    """
    return ["".join(map(str, row)) for row in rows.tolist()]


def _array(picture: Sequence[str]) -> NDArray[np.int64]:
    """What `_picture` made text of."""
    return np.array([list(row) for row in picture], np.int64)


def draw_plane(
    axes: Axes, areas: Sequence[str], positions: ArrayLike = (), arms: ArrayLike = ()
) -> None:
    """Shades the area of each arm, with lines between, and draws points.

    Arguments:
        areas: as `learn_plane` gives them; may be empty.
        positions, arms: of the points, (points, 2) and (points,).
    """
    from matplotlib.colors import ListedColormap

    if areas:
        numbers = _array(areas)
        axes.imshow(numbers, ListedColormap(AREAS), vmin=0, vmax=ARMS - 1, **PLACE)
        for arm in set(numbers.flat):
            inside = (numbers == arm).astype(float)
            axes.contour(inside, [0.5], colors="black", linewidths=1.2, **PLACE)
    for number, look in enumerate(POINTS):
        x, y = np.reshape(positions, (-1, 2))[np.equal(arms, number)].T
        axes.plot(x, y, markersize=3, markeredgecolor="black", markeredgewidth=0.3, **look)
    axes.set(xticks=[], yticks=[], xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal")


def draw_borders(axes: Axes, borders: Sequence[str]) -> None:
    """Draws the borders between the pieces of a ReLU network, as `learn_plane` gives them."""
    from matplotlib.colors import ListedColormap

    shown = np.ma.masked_equal(_array(borders), 0)
    axes.imshow(shown, ListedColormap(["black"]), alpha=0.5, **PLACE)

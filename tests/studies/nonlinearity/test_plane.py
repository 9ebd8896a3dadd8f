"""The spiral arms, and what networks make of them."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from scipy.optimize import linprog

from tests.studies.nonlinearity.results import SETTINGS
from tinynn.studies.nonlinearity.networks import NETWORKS
from tinynn.studies.nonlinearity.plane import (
    AREAS,
    ARMS,
    POINTS,
    PlaneTask,
    learn_plane,
    run_plane,
    spirals,
)
from tinynn.studies.shared.workers import Place, Workers

HERE = Place(None, "cpu")


def learn(activation, hidden, steps=300):
    return learn_plane(HERE, PlaneTask(activation, hidden, 0.05, steps, points=300, seed=0))


def can_be_parted(first, second):
    """Whether a line has all points of one set on one side and those of the other beyond."""
    signs = np.repeat([1.0, -1.0], [len(first), len(second)])
    rows = np.column_stack([np.concatenate([first, second]), np.ones(len(signs))])
    # sign * (w x + b) >= 1 for each point
    found = linprog(np.zeros(3), -signs[:, None] * rows, -np.ones(len(signs)), bounds=(None, None))
    assert found.status in (0, 2)  # solved, or found to be impossible
    return found.status == 0


def test_points_are_those_of_the_seed():
    first, arms = spirals(90, seed=3)
    again, _ = spirals(90, seed=3)
    other, _ = spirals(90, seed=4)
    np.testing.assert_array_equal(first, again)
    assert not (first == other).any()
    assert first.dtype == np.float32
    assert first.shape == (90, 2)
    assert np.bincount(arms).tolist() == [30] * ARMS


def test_no_line_parts_two_arms():
    positions, arms = spirals(450, seed=0)
    for arm in range(ARMS):
        for other in range(arm):
            assert not can_be_parted(positions[arms == arm], positions[arms == other])
    # The same can part the points of one arm on both sides of a line.
    right = positions[:, 0] > 0.1
    assert can_be_parted(positions[right], positions[positions[:, 0] < 0])


def test_an_arm_is_the_next_one_turned():
    """But for noise, an arm lies where the one before it lies, a third of a turn on."""
    positions, arms = spirals(9000, seed=0)
    radius, angle = np.hypot(*positions.T), np.arctan2(positions[:, 1], positions[:, 0])
    turned = np.exp(1j * (angle - 2 * np.pi * (radius + arms / ARMS)))
    outer = radius > 0.5  # where noise turns a point little
    for arm in range(ARMS):
        assert abs(np.angle(turned[outer & (arms == arm)].mean())) < 0.02


@pytest.mark.parametrize("hidden", [(), (8, 8)])
def test_linear_networks_divide_by_straight_lines(hidden):
    """So along every row each arm's area is one stretch; and the points are not told apart."""
    found = learn("identity", hidden)
    assert {len(found["areas"]), *map(len, found["areas"])} == {len(found["areas"])}
    for row in found["areas"]:
        changes = sum(left != right for left, right in pairwise(row))
        assert changes == len(set(row)) - 1
    assert found["accuracy"] < 0.7
    assert (found["pieces"], found["borders"]) == (1, None)


def test_both_linear_networks_end_with_the_same_loss():
    """Softmax regression's loss has one minimum, and the deep network's is no other."""
    flat, deep = learn("identity", ()), learn("identity", (8, 8))
    assert abs(flat["loss"] - deep["loss"]) < 1e-3 * flat["loss"]


def test_relu_bends_the_lines_at_the_borders_of_its_pieces():
    found = learn("relu", (16, 16))
    assert found["accuracy"] > 0.9
    assert any(row.count("01") + row.count("02") > 1 for row in found["areas"])
    borders = np.array([list(row) for row in found["borders"]], int)
    assert found["pieces"] > 16
    assert 0 < borders.mean() < 0.5


def test_the_same_task_gives_the_same():
    assert learn("tanh", (4,), steps=20) == learn("tanh", (4,), steps=20)


def test_the_rate_with_the_least_loss_is_kept():
    chosen = run_plane(SETTINGS, 0, Workers(1, say=lambda line: None))
    assert list(chosen) == list(NETWORKS)
    task = PlaneTask("relu", SETTINGS.plane_hidden, 0.0, SETTINGS.plane_steps, points=60, seed=0)
    tasks = [task._replace(rate=rate) for rate in SETTINGS.plane_rates]
    losses = [learn_plane(HERE, task)["loss"] for task in tasks]
    assert len(set(losses)) == len(losses) > 1
    assert chosen["ReLU"]["loss"] == min(losses)


def test_areas_and_points_differ_on_paper():
    def greys(colours):
        return sorted(np.dot(to_rgb(colour), (0.299, 0.587, 0.114)) for colour in colours)

    assert np.diff(greys(AREAS)).min() > 0.1
    assert np.diff(greys(look["color"] for look in POINTS)).min() > 0.1
    assert len({look["marker"] for look in POINTS}) == ARMS

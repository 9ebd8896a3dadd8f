"""A softmax in pieces against one at once."""

import numpy as np
import pytest
from numba import njit

from tinynn.kernels.cpu.online_softmax import hide, soften


@njit
def _run(scores, values, piece, sums, tops, totals):
    for first in range(0, scores.size, piece):
        own = scores[first : first + piece]
        soften(own, sums, tops, totals, 0)
        for t in range(own.size):
            for c in range(sums.size):
                sums[c] += own[t] * values[first + t, c]


@pytest.mark.parametrize("piece", [1, 7, 100])
@pytest.mark.parametrize("order", ["random", "rising", "falling"])
def test_pieces_of_any_size(order, piece):
    rng = np.random.default_rng(0)
    scores = (20 * rng.standard_normal(50)).astype(np.float32)
    if order != "random":
        scores = np.sort(scores)[:: 1 if order == "rising" else -1].copy()
    scores[:8] = scores[20:28] = -np.inf
    values = rng.standard_normal((50, 3)).astype(np.float32)
    weights = np.exp(scores.astype(float) - scores.max())
    sums, tops, totals = np.zeros(3, np.float32), np.full(1, -np.inf, np.float32), np.zeros(1)
    _run(scores.copy(), values, piece, sums, tops, totals.astype(np.float32))
    totals = totals.astype(np.float32)
    sums[:], tops[:] = 0, -np.inf
    _run(scores.copy(), values, piece, sums, tops, totals)
    np.testing.assert_allclose(totals[0], weights.sum(), rtol=1e-5)
    np.testing.assert_allclose(sums, weights @ values, rtol=1e-5, atol=1e-6)
    assert tops[0] == scores.max()


def test_a_row_that_sees_nothing():
    scores, tops = np.full(4, -np.inf, np.float32), np.full(1, -np.inf, np.float32)
    totals, sums = np.zeros(1, np.float32), np.zeros(2, np.float32)
    njit(lambda *arguments: soften(*arguments))(scores, sums, tops, totals, 0)
    assert (scores == 0).all()
    assert totals[0] == 0


def test_hide():
    scores = np.zeros(5, np.float32)
    run = njit(lambda scores, first, last: hide(scores, first, last))
    run(scores, 4, 2)
    assert (scores == 0).all()
    run(scores, 1, 3)
    np.testing.assert_array_equal(np.isneginf(scores), [False, True, True, False, False])

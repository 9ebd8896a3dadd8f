"""The vectorised elementary functions in float32, in units in the last place."""

import numba
import numpy as np
import pytest

from tests.kernels.comparison import kernel_of

kernel_of("erf")  # says where compiled kernels are kept, before they are imported
from tinynn.kernels.cpu import elementary, reductions  # noqa: E402


@pytest.fixture(scope="module")
def functions():
    @numba.njit
    def all_of(x, out):
        for i in range(x.size):
            out[0, i] = elementary.exp(x[i])
            out[1, i] = elementary.sigmoid(x[i])
            out[2, i] = elementary.tanh(x[i])

    def call(x):
        x = np.asarray(x, np.float32)
        out = np.empty((3, x.size), np.float32)
        all_of(x, out)
        return out

    return call


def ulps(actual, exact):
    """The distance in units in the last place of the exact result."""
    return np.abs(actual - exact) / np.spacing(np.abs(exact).astype(np.float32))


def test_errors_in_units_in_the_last_place(functions):
    x = np.linspace(-87, 88, 300_001, dtype=np.float32)
    exponential, sigmoid, tanh = functions(x)
    wide = x.astype(np.float64)
    assert ulps(exponential, np.exp(wide)).max() <= 1
    assert ulps(sigmoid, 1 / (1 + np.exp(-wide))).max() <= 2.5
    assert ulps(tanh, np.tanh(wide)).max() <= 2
    small = np.logspace(-30, 0, 10_001).astype(np.float32)
    assert ulps(functions(-small)[2], -np.tanh(small.astype(np.float64))).max() <= 2


def test_ends_of_the_range(functions):
    exponential, sigmoid, tanh = functions([np.inf, -np.inf, np.nan, 88.8, -104.5, 0, -0.0])
    np.testing.assert_array_equal(exponential, [np.inf, 0, np.nan, np.inf, 0, 1, 1])
    np.testing.assert_array_equal(sigmoid, [1, 0, np.nan, 1, 0, 0.5, 0.5])
    np.testing.assert_array_equal(tanh, [1, -1, np.nan, 1, -1, 0, 0])
    # The largest float32 below overflow, and subnormal results.
    x = np.array([88.72283, -95.0, -103.0], np.float32)
    exact = np.exp(x.astype(np.float64))
    np.testing.assert_allclose(functions(x)[0], exact, rtol=1e-6, atol=2e-45)


def test_highest_of_a_row():
    @numba.njit
    def highest(x):
        return reductions.highest(x)

    rng = np.random.default_rng(0)
    for dtype in ("float32", "float64"):
        for count in (1, 2, 7, 64, 1001):
            x = rng.standard_normal(count).astype(dtype)
            assert highest(x) == x.max()
            assert highest(-np.abs(x)) == -np.abs(x).min()
        assert highest(np.array([-np.inf, -3.0, -np.inf], dtype)) == -3
        assert highest(np.full(5, -np.inf, dtype)) == -np.inf
        assert highest(np.array([0.0, np.inf], dtype)) == np.inf

"""The error function, against the C library's and in units in the last place."""

import math

import numpy as np
import pytest

from tests.kernels.comparison import DTYPES, assert_kernel_agrees, kernel_of
from tinynn.backend.kernel_table import reference_of

FUNCTIONS = [kernel_of("erf"), reference_of("erf")]


@pytest.mark.parametrize("function", FUNCTIONS, ids=["kernel", "reference"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_erf_to_the_last_places(dtype, function):
    x = np.concatenate([np.linspace(-7, 7, 20_001), np.logspace(-30, 1, 5_000)]).astype(dtype)
    exact = np.array([math.erf(value) for value in x.tolist()])
    error = np.abs(function(x) - exact) / np.spacing(np.abs(exact).astype(dtype))
    assert error.max() <= 3


@pytest.mark.parametrize("function", FUNCTIONS, ids=["kernel", "reference"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_erf_at_its_ends(dtype, function):
    with np.errstate(invalid="ignore", over="ignore"):
        result = function(np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 1e30, -1e30], dtype))
    np.testing.assert_array_equal(result, [1, -1, np.nan, 0, 0, 1, -1])
    np.testing.assert_array_equal(np.signbit(result[3:5]), [False, True])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3, 5), (2, 3, 7)])
def test_kernel_agrees_with_reference(shape, dtype):
    x = np.asarray(np.random.default_rng(0).standard_normal(shape), dtype)
    assert_kernel_agrees("erf", x)

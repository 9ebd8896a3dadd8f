"""Softmax over rows: the kernel against the reference, and the gradient against differences."""

import numpy as np
import pytest

from tests.kernels.comparison import DTYPES, assert_kernel_agrees, kernel_of
from tinynn.backend.kernel_table import reference_of

SHAPES = [(0, 3), (3, 0), (1,), (1, 1), (7, 5), (2, 3, 64), (3, 1025)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kernel_agrees_with_reference(shape, dtype):
    rng = np.random.default_rng(0)
    x, g = (3 * rng.standard_normal(shape).astype(dtype) for _ in range(2))
    assert_kernel_agrees("softmax", x)
    assert_kernel_agrees("softmax_backward", g, kernel_of("softmax")(x), factor=4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_extreme_and_missing_numbers(dtype):
    rows = [[1e4, -1e4, 0], [-np.inf, 1, 2], [-np.inf] * 3, [np.inf, 0, 0], [np.nan, 0, 0]]
    assert_kernel_agrees("softmax", np.array(rows, dtype))


@pytest.mark.parametrize("find", [kernel_of, reference_of])
def test_gradient_is_the_change_along_a_direction(find):
    rng = np.random.default_rng(1)
    x, g, direction = rng.standard_normal((3, 4, 6))
    softmax, step = find("softmax"), 1e-6
    change = (softmax(x + step * direction) - softmax(x - step * direction)) / (2 * step)
    gradient = find("softmax_backward")(g, softmax(x))
    np.testing.assert_allclose((gradient * direction).sum(), (g * change).sum(), rtol=1e-8)

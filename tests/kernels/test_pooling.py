"""Pooling: the kernels against the references, and both on NaN, infinity and equals."""

import numpy as np
import pytest

from tests.kernels.comparison import DTYPES, assert_kernel_agrees, kernel_of
from tinynn.backend.kernel_table import reference_of

# The shape of x, window, stride, padding, dilation, size.
CASES = [
    ((2, 3, 4, 6), (2, 2), (2, 2), (0, 0), (1, 1), (2, 3)),
    ((2, 1, 5, 7), (3, 2), (1, 3), (1, 1), (1, 1), (5, 3)),
    ((1, 2, 7, 8), (3, 3), (1, 1), (1, 1), (2, 3), (5, 4)),
    ((1, 2, 5, 5), (2, 2), (2, 2), (0, 0), (1, 1), (3, 3)),
    ((33, 5, 16, 16), (2, 2), (2, 2), (0, 0), (1, 1), (8, 8)),
    ((0, 2, 4, 4), (2, 2), (2, 2), (0, 0), (1, 1), (2, 2)),
]
NAMES = ("window", "stride", "padding", "dilation", "size")
EACH = pytest.mark.parametrize("find", [kernel_of, reference_of], ids=["kernel", "reference"])
HALVED = dict(zip(NAMES, (*CASES[0][1:5], (1, 2)), strict=True))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_kernel_agrees_with_reference(case, dtype):
    shape, options = case[0], dict(zip(NAMES, case[1:], strict=True))
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, shape).astype(dtype)  # with many equals
    assert_kernel_agrees("max_pool2d", x, **options)
    out, places = reference_of("max_pool2d")(x, **options)
    g = rng.standard_normal(out.shape).astype(dtype)
    assert_kernel_agrees("max_pool2d_backward", g, places, size=shape[2:], factor=4)


@EACH
def test_the_first_of_equals_is_chosen(find):
    _, places = find("max_pool2d")(np.ones((1, 1, 2, 4), np.float32), **HALVED)
    assert places.tolist() == [[[[0, 2]]]]


@EACH
def test_nan_and_infinity_win_where_they_are(find):
    x = np.array([[[[1, np.nan, -np.inf, -np.inf], [2, 3, -np.inf, -np.inf]]]], np.float32)
    out, places = find("max_pool2d")(x, **HALVED)
    np.testing.assert_array_equal(out, [[[[np.nan, -np.inf]]]])
    assert places.tolist() == [[[[1, 2]]]]


@EACH
def test_padding_is_never_chosen(find):
    x = np.full((1, 1, 1, 1), -np.inf, np.float32)
    options = {"window": (2, 2), "stride": (1, 1), "padding": (1, 1), "dilation": (1, 1)}
    out, places = find("max_pool2d")(x, **options, size=(2, 2))
    assert (out == -np.inf).all()
    assert not places.any()


@EACH
def test_gradients_of_one_element_are_added(find):
    g = np.array([[[[1, 2], [4, 8]]]], np.float32)
    places = np.array([[[[3, 3], [0, 3]]]])
    gradient = find("max_pool2d_backward")(g, places, size=(2, 2))
    assert gradient.tolist() == [[[[4, 0], [0, 11]]]]

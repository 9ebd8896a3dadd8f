"""The convolution and its gradients: the kernels against the references, and single cases."""

import numpy as np
import pytest

from tests.kernels.comparison import DTYPES, assert_kernel_agrees, kernel_of
from tinynn.backend.kernel_table import reference_of

ONCE = {"stride": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1}
# The shapes of x and weight, and what differs from ONCE: numbers of filters that do and do not
# fill a tile, images that do and do not fill a block, rows longer and shorter than a vector.
CASES = [
    ((2, 3, 5, 4), (4, 3, 3, 2), {}),
    ((9, 1, 28, 28), (8, 1, 5, 5), {"padding": (2, 2, 2, 2)}),
    ((1, 5, 14, 14), (7, 5, 3, 3), {"padding": (1, 1, 1, 1)}),
    ((17, 2, 3, 40), (5, 2, 2, 7), {"padding": (0, 1, 3, 3)}),
    ((3, 2, 9, 11), (3, 2, 3, 2), {"stride": (2, 3), "padding": (1, 0, 2, 1)}),
    ((2, 2, 9, 11), (3, 2, 2, 3), {"stride": (2, 2), "dilation": (3, 2)}),
    ((2, 1, 10, 10), (1, 1, 1, 1), {"stride": (3, 4)}),
    ((1, 2, 12, 9), (6, 2, 4, 3), {"stride": (4, 3), "dilation": (2, 3), "padding": (5, 4, 3, 2)}),
    ((2, 6, 6, 7), (9, 2, 3, 3), {"groups": 3, "padding": (1, 1, 1, 1)}),
    ((2, 5, 6, 7), (5, 1, 3, 3), {"groups": 5, "stride": (2, 2)}),
    ((2, 1, 2, 2), (1, 1, 1, 1), {"padding": (2, 2, 2, 2)}),
    ((0, 3, 4, 4), (2, 3, 2, 2), {}),
]
EACH = pytest.mark.parametrize("find", [kernel_of, reference_of], ids=["kernel", "reference"])


def arrays(x_shape, w_shape, options, dtype):
    rng = np.random.default_rng(0)
    x, weight = (rng.standard_normal(shape).astype(dtype) for shape in (x_shape, w_shape))
    bias = rng.standard_normal(w_shape[0]).astype(dtype)
    out = reference_of("conv2d")(x, weight, bias, **options)
    return x, weight, bias, rng.standard_normal(out.shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("x_shape", "w_shape", "changes"), CASES)
def test_kernels_agree_with_references(x_shape, w_shape, changes, dtype):
    options = ONCE | changes
    x, weight, bias, g = arrays(x_shape, w_shape, options, dtype)
    assert_kernel_agrees("conv2d", x, weight, bias, **options)
    assert_kernel_agrees("conv2d", x, weight, None, **options)
    size, window = x_shape[2:], w_shape[2:]
    assert_kernel_agrees("conv2d_input_gradient", g, weight, size=size, factor=2, **options)
    assert_kernel_agrees("conv2d_weight_gradient", g, x, window=window, factor=4, **options)


@EACH
@pytest.mark.parametrize(("x_shape", "w_shape", "changes"), CASES)
def test_the_gradients_are_those_of_the_convolution(x_shape, w_shape, changes, find):
    """<g, conv(x, w)> = <input gradient(g, w), x> = <weight gradient(g, x), w>, in float64."""
    options = ONCE | changes
    x, weight, _, g = arrays(x_shape, w_shape, options, "float64")
    product = (g * find("conv2d")(x, weight, None, **options)).sum()
    of_input = find("conv2d_input_gradient")(g, weight, size=x_shape[2:], **options)
    of_weight = find("conv2d_weight_gradient")(g, x, window=w_shape[2:], **options)
    np.testing.assert_allclose((of_input * x).sum(), product, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose((of_weight * weight).sum(), product, rtol=1e-11, atol=1e-11)


@EACH
def test_nan_is_seen_in_its_windows_alone(find):
    x = np.ones((2, 1, 5, 5), np.float32)
    x[1, 0, 2, 4] = np.nan
    out = find("conv2d")(x, np.ones((1, 1, 3, 3), np.float32), None, **ONCE)
    expected = np.full((2, 1, 3, 3), 9.0)
    expected[1, 0, :, 2] = np.nan
    np.testing.assert_array_equal(out, expected)


def test_results_do_not_depend_on_the_number_of_threads():
    import tinynn as tn

    x, weight, bias, g = arrays((33, 8, 14, 14), (16, 8, 5, 5), ONCE, "float32")
    before = tn.get_num_threads()
    results = []
    for threads in (1, 2):
        tn.set_num_threads(threads)
        results.append(
            (
                kernel_of("conv2d")(x, weight, bias, **ONCE),
                kernel_of("conv2d_input_gradient")(g, weight, size=(14, 14), **ONCE),
                kernel_of("conv2d_weight_gradient")(g, x, window=(5, 5), **ONCE),
            )
        )
    tn.set_num_threads(before)
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)

"""Products with a matrix of 16-bit floats, against float64."""

import ml_dtypes
import numpy as np
import pytest

import tinynn as tn
from tests.kernels.comparison import kernel_of
from tinynn.backend.kernel_table import reference_of, table_for

half_linear = kernel_of("half_linear")

DTYPES = pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])


def numbers(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@DTYPES
@pytest.mark.parametrize("function", [half_linear, reference_of("half_linear")])
@pytest.mark.parametrize("shape", [(16, 32), (37, 48), (5, 16), (600, 64), (33, 50), (1, 1)])
def test_a_product_is_that_of_float32(function, shape, dtype):
    outputs, columns = shape
    weight, bias = numbers(*shape, dtype=dtype), numbers(outputs, seed=1)
    for count in (0, 1, 2, 3, 4, 7, 16, 17, 40):
        x = numbers(count, columns, seed=2)
        expected = x.astype(float) @ weight.astype(float).T
        bound = 2e-6 * (np.abs(x) @ np.abs(weight.astype(float)).T + np.abs(bias))
        out = function(x, weight, bias)
        assert out.dtype == np.float32
        assert (np.abs(out - expected - bias) <= bound).all()
        assert (np.abs(function(x, weight, None) - expected) <= bound).all()


@DTYPES
def test_a_row_has_the_same_bits_alone(dtype):
    weight, x = numbers(37, 48, dtype=dtype), numbers(16, 48, seed=2)
    alone = np.concatenate([half_linear(row[None], weight, None) for row in x])
    for count in (2, 3, 4, 7, 16):
        np.testing.assert_array_equal(half_linear(x[:count], weight, None), alone[:count])


def test_the_same_bits_on_several_threads():
    weight, x = numbers(4000, 320, dtype=np.float16), numbers(9, 320, seed=2)
    found, threads = [], tn.get_num_threads()
    try:
        for number in (1, 2):
            tn.set_num_threads(number)
            found.append(half_linear(x, weight, None))
    finally:
        tn.set_num_threads(threads)
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("count", [1, 20])
def test_axes_before_the_last_and_out(count):
    weight, x = numbers(9, 16, dtype=np.float16), numbers(2, count, 16)
    out = np.empty((2, count, 9), np.float32)
    assert half_linear(x, weight, None, out=out) is out
    np.testing.assert_allclose(out, x @ weight.astype(np.float32).T, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("count", [3, 20])
def test_what_is_no_number_stays_in_its_row(count, bad):
    weight, x = numbers(9, 16, dtype=np.float16), numbers(count, 16)
    x[1, 3] = bad
    finite = np.isfinite(half_linear(x, weight, None)).all(axis=1)
    assert finite.tolist() == [row != 1 for row in range(count)]


def test_what_the_kernel_leaves_to_the_reference():
    weight, x = numbers(9, 16, dtype=np.float16), numbers(3, 16)
    expected = x @ weight.astype(np.float32).T
    for other, matrix in ((x.astype(np.float64), weight), (x, np.asfortranarray(weight))):
        assert half_linear(other, matrix, None) is NotImplemented
        out = table_for("numpy").half_linear(other, matrix, None)
        assert out.dtype == other.dtype
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)

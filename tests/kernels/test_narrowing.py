"""16-bit floats from and to float32, by their bits: every number, and the numbers around halves."""

import ml_dtypes
import numpy as np
import pytest

from tests.kernels.comparison import kernel_of

kernel_of("erf")  # says where compiled kernels are kept

from tinynn.kernels.cpu.arrays import stored  # noqa: E402
from tinynn.kernels.cpu.compiler import jit  # noqa: E402
from tinynn.kernels.cpu.narrowing import narrow, widen  # noqa: E402

SMALL = pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])


@jit
def widen_all(x, out):
    for i in range(x.shape[0]):
        out[i] = widen(x[i])


@jit
def narrow_all(x, out):
    for i in range(x.shape[0]):
        out[i] = narrow(x[i], out)


def assert_same_numbers(actual, expected):
    """Bit for bit, but that a NaN may be any NaN."""
    missing = np.isnan(expected)
    np.testing.assert_array_equal(np.isnan(actual), missing)
    bits = np.dtype(f"u{actual.itemsize}")
    np.testing.assert_array_equal(actual[~missing].view(bits), expected[~missing].view(bits))


@SMALL
def test_every_number_is_widened(dtype):
    x = np.arange(2**16, dtype=np.uint16).view(dtype)
    out = np.empty(x.size, np.float32)
    widen_all(stored(x), out)
    assert_same_numbers(out, x.astype(np.float32))


@SMALL
def test_numbers_are_rounded_to_the_nearest_and_ties_to_even(dtype):
    """Every exponent and sign, with all that the first places of the mantissa can be, and beside
    each of these numbers the next ones."""
    places = np.arange(2**20, dtype=np.uint32) << np.uint32(12)
    near = [places, places + np.uint32(1), places - np.uint32(1), places + np.uint32(0x7FF)]
    x = np.concatenate(near).view(np.float32)
    out = np.empty(x.size, dtype)
    narrow_all(x, stored(out))
    with np.errstate(all="ignore"):
        assert_same_numbers(out, x.astype(dtype))


def test_other_dtypes_stay_as_they_are():
    x = np.array([1.5, -np.inf, np.nan])
    out = np.empty(3)
    narrow_all(x, out)
    np.testing.assert_array_equal(out, x)
    widen_all(x, out)
    np.testing.assert_array_equal(out, x)

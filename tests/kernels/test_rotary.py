"""Rotary embedding: the kernel against the reference, and both against complex numbers."""

import ml_dtypes
import numpy as np
import pytest

from tests.kernels.comparison import DTYPES, assert_kernel_agrees, kernel_of, run_both
from tinynn.backend.kernel_table import reference_of, table_for

FIND = pytest.mark.parametrize("find", [kernel_of, reference_of], ids=["kernel", "reference"])
ORDERS = pytest.mark.parametrize("interleaved", [False, True], ids=["halves", "interleaved"])

# Shapes of the vectors and of the tables of angles.
SHAPES = [
    ((5, 8), (5, 4)),
    ((7, 36), (7, 13)),
    ((2, 3, 5, 64), (5, 32)),
    ((9, 4, 32), (9, 1, 16)),
    ((2, 3, 5, 16), (2, 1, 5, 8)),
    ((2, 3, 5, 16), (3, 1, 8)),
    ((2, 3, 5, 16), (1, 8)),
    ((1, 1, 16), (1, 8)),
    ((6,), (3,)),
    ((3, 5), (3, 0)),
    ((0, 8), (0, 4)),
    ((2, 0, 8), (2, 0, 4)),
    ((0, 3, 8), (0, 1, 4)),
]


def vectors_and_angles(shape, table, dtype="float32"):
    rng = np.random.default_rng(0)
    x, angles = rng.standard_normal(shape), rng.uniform(-7, 7, table)
    return x.astype(dtype), np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


@ORDERS
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "table"), SHAPES, ids=str)
def test_kernel_agrees_with_reference(shape, table, dtype, interleaved):
    arrays = vectors_and_angles(shape, table, dtype)
    assert_kernel_agrees("rope", *arrays, interleaved=interleaved)
    out = np.empty_like(arrays[0])
    assert kernel_of("rope")(*arrays, interleaved=interleaved, out=out) is out
    np.testing.assert_array_equal(out, kernel_of("rope")(*arrays, interleaved=interleaved))


@ORDERS
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_16_bit_floats_are_rounded_once(dtype, interleaved):
    arrays = vectors_and_angles((5, 3, 40), (5, 1, 16), dtype)
    (ours,), (theirs,) = run_both("rope", *arrays, interleaved=interleaved)
    assert ours.dtype == theirs.dtype == dtype
    wide = arrays[0].astype(np.float32), *arrays[1:]
    exact = kernel_of("rope")(*wide, interleaved=interleaved)
    half_a_place = 2.0 ** (-8 if dtype == ml_dtypes.bfloat16 else -11)
    for result in (ours, theirs):
        error = np.abs(result.astype(np.float32) - exact)
        assert (error <= half_a_place * np.abs(exact) + 1e-6).all()


@FIND
@ORDERS
def test_a_turn_is_a_product_of_complex_numbers(interleaved, find):
    x, cos, sin = vectors_and_angles((6, 10), (6, 4), "float64")
    out = find("rope")(x, cos, sin, interleaved=interleaved)
    for row in range(6):
        for pair in range(4):
            first, second = (2 * pair, 2 * pair + 1) if interleaved else (pair, pair + 4)
            turn = complex(cos[row, pair], sin[row, pair])
            expected = complex(x[row, first], x[row, second]) * turn
            np.testing.assert_allclose(out[row, first], expected.real, rtol=1e-12)
            np.testing.assert_allclose(out[row, second], expected.imag, rtol=1e-12)
        np.testing.assert_array_equal(out[row, 8:], x[row, 8:])


@ORDERS
def test_layouts_that_the_kernel_does_not_take(interleaved):
    rope = table_for("numpy").rope
    x, cos, sin = vectors_and_angles((2, 3, 4, 5, 6, 8), (2, 1, 4, 1, 6, 4))
    assert kernel_of("rope")(x, cos, sin, interleaved=interleaved) is NotImplemented
    expected = rope(x.astype(np.float64), cos, sin, interleaved=interleaved)
    np.testing.assert_allclose(rope(x, cos, sin, interleaved=interleaved), expected, atol=1e-5)
    x, cos, sin = vectors_and_angles((5, 8), (5, 4))
    turned = kernel_of("rope")(x, cos[::-1], sin[::-1], interleaved=interleaved)
    assert turned is NotImplemented
    for arrays in [(x[::-1], cos, sin), (x, cos[::-1], sin[::-1])]:
        copies = [array.copy() for array in arrays]
        np.testing.assert_allclose(
            rope(*arrays, interleaved=interleaved),
            rope(*copies, interleaved=interleaved),
            rtol=1e-5,
            atol=1e-6,
        )

"""Rows of a quantized matrix as floats: exactly the numbers that it holds."""

import numpy as np
import pytest

from tests.kernels.comparison import kernel_of
from tests.kernels.quantized_blocks import SIZES, random_matrix
from tinynn.backend.kernel_table import reference_of

FUNCTIONS = pytest.mark.parametrize(
    "function",
    [kernel_of("quantized_rows"), reference_of("quantized_rows")],
    ids=["kernel", "reference"],
)


@FUNCTIONS
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("columns", [1, 32, 75])
def test_rows(function, size, columns):
    matrix = random_matrix(size, 37, columns)
    ids = np.array([[36, 0, 5], [5, 16, 15]])
    out = function(ids, *matrix[:2], outputs=37, columns=columns)
    np.testing.assert_array_equal(out, matrix.numbers[ids].astype(np.float32))
    given = np.empty((2, 3, columns), np.float32)
    assert function(ids, *matrix[:2], outputs=37, columns=columns, out=given) is given
    np.testing.assert_array_equal(given, out)


@FUNCTIONS
def test_no_rows(function):
    matrix = random_matrix(544, 16, 32)
    out = function(np.empty((2, 0), np.int64), *matrix[:2], outputs=16, columns=32)
    assert out.shape == (2, 0, 32)


@FUNCTIONS
@pytest.mark.parametrize("bad", [-1, 37, 47])
def test_an_id_out_of_range(function, bad):
    matrix = random_matrix(544, 37, 32)
    with pytest.raises(IndexError, match=rf"id {bad} \(number 3\), but the matrix has 37 rows"):
        function(np.array([[0, 36], [1, bad]]), *matrix[:2], outputs=37, columns=32)


def test_every_float16_is_widened_as_numpy_does():
    """In blocks of 4096 groups, the scales being all float16 there are; the code is one more than
    that of zero."""
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    blocks = np.full((1, 4096, 544), 129, np.uint8)
    blocks[0, :, :32] = halves.view(np.uint8).reshape(4096, 32)
    out = kernel_of("quantized_rows")(np.arange(16), blocks, None, outputs=16, columns=4096 * 32)
    expected = halves.reshape(4096, 16).T.astype(np.float32)
    np.testing.assert_array_equal(out.reshape(16, 4096, 32)[..., 7], expected)

"""Adding rows to chosen rows: the kernel against the reference, and both against a loop."""

import numpy as np
import pytest

from tests.kernels.comparison import DTYPES, assert_kernel_agrees, kernel_of
from tinynn.backend.kernel_table import reference_of

FUNCTIONS = [kernel_of("index_add"), reference_of("index_add")]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "columns", "count"), [(3, 4, 0), (1, 1, 5), (5, 7, 40)])
def test_kernel_agrees_with_reference(rows, columns, count, dtype):
    rng = np.random.default_rng(0)
    target = rng.standard_normal((rows, columns)).astype(dtype)
    source = rng.standard_normal((count, columns)).astype(dtype)
    index = rng.integers(0, rows, count)
    assert_kernel_agrees("index_add", target, index, source)
    assert_kernel_agrees("index_add", target, index.reshape(-1, 1), source[:, None])


@pytest.mark.parametrize("function", FUNCTIONS, ids=["kernel", "reference"])
@pytest.mark.parametrize("index_dtype", ["int64", "int32", "uint8"])
def test_rows_that_come_more_than_once_add_up(index_dtype, function):
    target = np.zeros((4, 3), np.float32)
    source = np.arange(12, dtype=np.float32).reshape(4, 3)
    index = np.array([1, 3, 1, 1], index_dtype)
    expected = np.zeros((4, 3))
    for place, row in zip(index, source, strict=True):
        expected[place] += row
    assert function(target, index, source) is target
    np.testing.assert_array_equal(target, expected)


@pytest.mark.parametrize("function", FUNCTIONS, ids=["kernel", "reference"])
@pytest.mark.parametrize("bad", [-1, 4])
def test_index_out_of_range_changes_nothing(bad, function):
    target = np.zeros((4, 3), np.float32)
    with pytest.raises(IndexError, match=rf"index\[1\] is {bad}, but the target has 4 rows"):
        function(target, np.array([0, bad]), np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(target, 0)


def test_16_bit_floats_add_up_in_float32():
    """1024 + 1024 times 0.25: each sum alone would be rounded away in float16."""
    target, source = np.full((1, 1), 1024, np.float16), np.full((1024, 1), 0.25, np.float16)
    reference_of("index_add")(target, np.zeros(1024, np.int64), source)
    assert target[0, 0] == 1280

"""Products of few rows agree with the references, for each dtype of the matrix and of x."""

import numpy as np
import pytest

from tests.cuda_on_cpu.faults import Fault
from tests.kernels.cuda.comparison import assert_cuda_agrees, launcher_of, numbers
from tinynn.kernels.cuda.half_linear import MOST_FEW as MOST

pytestmark = pytest.mark.usefixtures("cuda_on_cpu")

DTYPES = ("float32", "float16", "bfloat16")
# (outputs, columns): whole groups of 16 bytes and others, more columns than a warp takes at once.
SHAPES = [(1, 1), (5, 12), (18, 40), (33, 520), (7, 1031)]
COUNTS = (1, 2, 4, 5, 8)  # more than are few as well


def reduced():
    for shape in ((33, 520), (5, 13)):
        for count in (1, 5, 9):
            x, weight = numbers(count, shape[1]), numbers(*shape, dtype="float16", seed=1)
            bias = numbers(shape[0], seed=2)
            assert_cuda_agrees("half_linear", x, weight, bias, factor=8)


FAULTS = [
    Fault(
        "the last row is another's", "if (lane || output + i", "if (lane || output + 0", "address"
    ),
    Fault(
        "a lane alone is written",
        "float sum = warp_sum(sums[row][i]);",
        "float sum = sums[row][i];",
        "results",
    ),
    Fault(
        "all rows are the first ones",
        "x += (long long)first * columns;",
        "",
        "results",
    ),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", COUNTS)
def test_linear_agrees(dtype, count):
    for outputs, columns in SHAPES:
        x, weight = (
            numbers(count, columns, dtype=dtype),
            numbers(outputs, columns, dtype=dtype, seed=1),
        )
        for bias in (numbers(outputs, dtype=dtype, seed=2), None):
            assert_cuda_agrees("linear_activation", x, weight, bias, activation=None, factor=8)


@pytest.mark.parametrize("kept", DTYPES[1:])
@pytest.mark.parametrize("is_wide", [False, True])
@pytest.mark.parametrize("count", [1, 2, 4, 7, 8, 13, MOST])
def test_a_matrix_of_16_bits_agrees(kept, is_wide, count):
    dtype = "float32" if is_wide else kept
    for outputs, columns in SHAPES:
        x, weight = (
            numbers(count, columns, dtype=dtype),
            numbers(outputs, columns, dtype=kept, seed=1),
        )
        bias = numbers(outputs, dtype=dtype, seed=2)
        assert_cuda_agrees("half_linear", x, weight, bias, factor=8)


def test_more_rows_are_multiplied_by_the_library():
    for dtype in ("float16", "bfloat16"):
        x, weight = numbers(2, MOST, 40), numbers(33, 40, dtype=dtype, seed=1)
        for bias in (numbers(33, seed=2), None):
            assert_cuda_agrees("half_linear", x, weight, bias, factor=8)


def test_a_row_gives_the_same_bits_in_any_company():
    x, weight = numbers(MOST, 520), numbers(33, 520, dtype="float16", seed=1)
    product = launcher_of("half_linear")
    alone = np.concatenate([product(row[None], weight, None) for row in x])
    assert product(x, weight, None).tobytes() == alone.tobytes()


def test_what_is_not_taken():
    half = launcher_of("half_linear")
    x, weight = numbers(2, 8), numbers(4, 8, dtype="float16")
    for wrong in (x.astype(np.float64), x[:, ::-1], x[:0]):
        assert half(wrong, weight, None) is NotImplemented
    assert half(x, weight[:, ::-1], None) is NotImplemented

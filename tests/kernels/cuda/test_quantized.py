"""Products with a quantized matrix agree with the reference, and with themselves in any company."""

import numpy as np
import pytest

from tests.cuda_on_cpu.faults import Fault
from tests.kernels.cuda.comparison import assert_cuda_agrees, launcher_of, numbers
from tests.kernels.quantized_blocks import SIZES, half_steps, random_matrix

pytestmark = pytest.mark.usefixtures("cuda_on_cpu")

EACH_SIZE = pytest.mark.parametrize("size", SIZES)
# Whole tiles and groups, and those that are not; more and fewer groups than there are parts.
SHAPES = [(16, 32), (5, 40), (37, 575), (90, 1100), (1, 1)]


def product(x, matrix, outputs, **options):
    return launcher_of("quantized_linear")(x, *matrix[:2], None, outputs=outputs, **options)


def reduced():
    for size in SIZES:
        matrix = random_matrix(size, 20, 300)
        for count in (3, 70):
            x, bias = numbers(count, 300), numbers(20, seed=2)
            assert_cuda_agrees("quantized_linear", x, *matrix[:2], bias, outputs=20, factor=4)
        x = numbers(3, 300)
        options = {"outputs": 20, "activations": "float32"}
        assert_cuda_agrees("quantized_linear", x, *matrix[:2], None, **options, factor=4)


FAULTS = [
    Fault(
        "the zero of codes with 8 bits is left out",
        "] ^ 0x80808080u;\n        continue",
        "];\n        continue",
        "results",
    ),
    Fault(
        "the last part reads beyond the row",
        "if (from + j < end) own[j].load",
        "own[j].load",
        "address",
    ),
    Fault(
        "no barrier before parts are added",
        "sums[i];\n  __syncthreads();\n  const int row",
        "sums[i];\n  const int row",
        "results",
    ),
    Fault(
        "numbers are read before all are there",
        "first + row];\n      }\n      __syncthreads();",
        "first + row];\n      }",
        "results",
    ),
    Fault(
        "numbers are overwritten before all have read them",
        "SIZE);\n      __syncthreads();\n      constexpr",
        "SIZE);\n      constexpr",
        "results",
    ),
]


@EACH_SIZE
@pytest.mark.parametrize("count", [1, 2, 9, 33, 65])
def test_agrees(size, count):
    for outputs, columns in SHAPES:
        matrix = random_matrix(size, outputs, columns)
        for bias in (numbers(outputs, seed=2), None):
            x = 3 * numbers(count, columns)
            assert_cuda_agrees("quantized_linear", x, *matrix[:2], bias, outputs=outputs, factor=4)


@EACH_SIZE
def test_a_product_is_as_near_as_the_rounding_of_x_allows(size):
    matrix, x = random_matrix(size, 37, 575), 3 * numbers(70, 575)
    bound = half_steps(x) @ np.abs(matrix.numbers).T + 2e-6 * (np.abs(x) @ matrix.parts.T)
    assert (np.abs(product(x, matrix, 37) - x.astype(float) @ matrix.numbers.T) <= bound).all()


@EACH_SIZE
@pytest.mark.parametrize("count", [1, 3, 17])
def test_activations_of_float32_agree(size, count):
    for outputs, columns in SHAPES:
        matrix, x = random_matrix(size, outputs, columns), numbers(count, columns)
        options = {"outputs": outputs, "activations": "float32"}
        assert_cuda_agrees("quantized_linear", x, *matrix[:2], None, **options, factor=8)


@EACH_SIZE
def test_a_row_gives_the_same_bits_in_any_company(size):
    matrix, x = random_matrix(size, 40, 700), numbers(70, 700)
    alone = np.concatenate([product(row[None], matrix, 40) for row in x])
    assert product(x, matrix, 40).tobytes() == alone.tobytes()
    assert product(x[:32].copy(), matrix, 40).tobytes() == alone[:32].tobytes()


@pytest.mark.parametrize("count", [1, 40])
def test_extreme_numbers(count):
    """Zeros are zero, the largest numbers do not overflow, and what is no number gives NaN."""
    matrix, x = random_matrix(544, 16, 96), numbers(count + 4, 96)
    x[0], x[1, 5], x[2, 40] = 0, np.nan, -np.inf
    x[3, :32] *= np.float32(1e30)
    out = product(x, matrix, 16)
    assert not out[0].any()
    assert np.isnan(out[1:3]).all()
    assert np.isfinite(out[3:]).all()


def test_what_is_not_taken():
    matrix = random_matrix(544, 16, 64)
    x = numbers(3, 64)
    for wrong in (x.astype(np.float64), x[:, ::-1], x[:0]):
        assert product(wrong, matrix, 16) is NotImplemented

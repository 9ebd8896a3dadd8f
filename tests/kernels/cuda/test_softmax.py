"""Softmax and its gradient agree with the references, for extreme numbers as well."""

import numpy as np
import pytest

from tests.cuda_on_cpu.faults import Fault
from tests.kernels.cuda.comparison import DTYPES, assert_cuda_agrees, launcher_of, numbers

pytestmark = pytest.mark.usefixtures("cuda_on_cpu")

SHAPES = [(3, 1), (9, 7), (2, 3, 16), (5,), (2, 1024), (2, 1037)]


def reduced():
    for shape in ((9, 7), (2, 1037)):
        y = numbers(*shape)
        assert_cuda_agrees("softmax", y, factor=4)
    assert_cuda_agrees("softmax_backward", y, y, factor=4)


FAULTS = [
    Fault("numbers beyond the row are counted", "if (whole || i < size) total", "total", "results"),
    Fault(
        "no barrier before the highest is read",
        "highest[threadIdx.x / 32] = x;\n    __syncthreads();",
        "highest[threadIdx.x / 32] = x;",
        "results",
    ),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_agrees(shape, dtype):
    x, g = 4 * numbers(*shape, dtype=dtype), numbers(*shape, dtype=dtype, seed=1)
    x = x.astype(g.dtype)
    assert_cuda_agrees("softmax", x, factor=4)
    y = launcher_of("softmax")(x)
    assert_cuda_agrees("softmax_backward", g, y, factor=4)


@pytest.mark.parametrize("columns", [12, 1030])
def test_extreme_numbers(columns):
    x = numbers(7, columns)
    x[0] = -np.inf
    x[1, 3] = np.inf
    x[2, 5] = np.nan
    x[3, :-1] = -np.inf
    x[4] *= 1e38
    x[5] = 3e38
    assert_cuda_agrees("softmax", x, factor=4)


def test_what_is_not_taken():
    x = np.ones((2, 4), np.float32)
    assert launcher_of("softmax")(x[:, ::2]) is NotImplemented
    assert launcher_of("softmax_backward")(x, x.astype(np.float64)) is NotImplemented

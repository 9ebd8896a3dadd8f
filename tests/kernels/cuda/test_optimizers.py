"""Optimizer steps agree with the references, in all their variants."""

import itertools

import numpy as np
import pytest

from tests.cuda_on_cpu.faults import Fault
from tests.kernels.cuda.comparison import DTYPES, assert_cuda_agrees, launcher_of, numbers

pytestmark = pytest.mark.usefixtures("cuda_on_cpu")

SIZES = [1, 7, 8, 131, 5000]


def arrays(count, size, dtype):
    found = numbers(count, size, dtype=dtype)
    return [abs(array) if place > 2 else array for place, array in enumerate(found)]


def reduced():
    assert_cuda_agrees("sgd_step", *arrays(3, 39, "float32"), lr=0.1, momentum=0.9)
    assert_cuda_agrees("adamw_step", *arrays(5, 39, "float32"), lr=0.1, step=2)


FAULTS = [
    Fault(
        "no barrier before what threads share",
        "  __syncthreads();\n  const AdamW",
        "  const AdamW",
        "results",
    ),
    Fault(
        "the last numbers are left out",
        "i < count; i += stride",
        "i + N <= count; i += stride",
        "results",
    ),
    Fault("numbers beyond the end", "count - i));", "count - i + 1));", "address"),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("momentum", "nesterov", "decay", "maximize"),
    [(0.0, False, 0.0, False), (0.9, False, 0.1, True), (0.9, True, 0.0, False)],
)
def test_sgd_agrees(momentum, nesterov, decay, maximize, dtype):
    for size in SIZES:
        assert_cuda_agrees(
            "sgd_step",
            *arrays(3 if momentum else 2, size, dtype),
            factor=2,
            lr=0.1,
            momentum=momentum,
            dampening=0.2 if momentum and not nesterov else 0.0,
            weight_decay=decay,
            nesterov=nesterov,
            maximize=maximize,
        )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("amsgrad", "maximize"), list(itertools.product([False, True], repeat=2)))
def test_adamw_agrees(amsgrad, maximize, dtype):
    for size in SIZES:
        assert_cuda_agrees(
            "adamw_step",
            *arrays(5 if amsgrad else 4, size, dtype),
            factor=2,
            lr=0.01,
            step=3,
            maximize=maximize,
        )


def test_the_first_step_of_adamw_has_all_its_digits():
    """A step of lr against the sign of the gradient, whatever its size."""
    parameters, zeros = np.zeros(4, np.float32), np.zeros(4, np.float32)
    gradients = np.array([1e-3, -1e-3, 1e3, -1e3], np.float32)
    launcher_of("adamw_step")(
        parameters, gradients, zeros, zeros.copy(), lr=0.5, step=1, eps=0.0, weight_decay=0.0
    )
    np.testing.assert_allclose(parameters, [-0.5, 0.5, -0.5, 0.5], rtol=1e-6)


def test_numbers_may_be_arrays_of_one_element():
    live = {name: np.array([value]) for name, value in {"lr": 0.1, "step": 2}.items()}
    assert_cuda_agrees("adamw_step", *arrays(4, 9, "float32"), **live)
    live = {name: np.array([value]) for name, value in {"lr": 0.1, "momentum": 0.9}.items()}
    assert_cuda_agrees("sgd_step", *arrays(3, 9, "float32"), **live)


def test_numbers_may_be_numpys():
    assert_cuda_agrees("sgd_step", *arrays(3, 9, "float32"), lr=np.float64(0.1), momentum=0.9)


def test_nan_in_the_highest_square_stays():
    given = arrays(5, 9, "float32")
    given[4][3], given[3][5] = np.nan, np.nan
    assert_cuda_agrees("adamw_step", *given, lr=0.1, step=2)


def test_nothing_to_do_and_what_is_not_taken():
    empty = np.zeros(0, np.float32)
    assert launcher_of("sgd_step")(empty, empty, lr=0.1) is None
    x = np.zeros(8, np.float32)
    assert launcher_of("sgd_step")(x, x.astype(np.float16), lr=0.1) is NotImplemented
    assert launcher_of("adamw_step")(x[::2], x[:4], x[:4], x[:4], lr=1, step=1) is NotImplemented

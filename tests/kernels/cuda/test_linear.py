"""Linear layers with activations, and their gradients, agree with the references."""

import numpy as np
import pytest

from tests.cuda_on_cpu.faults import Fault
from tests.kernels.cuda.comparison import DTYPES, assert_cuda_agrees, launcher_of, numbers
from tinynn.backend.reference.activations import ACTIVATIONS

pytestmark = pytest.mark.usefixtures("cuda_on_cpu")

PARAMETERS = {"leaky_relu": 0.01, "elu": 1.5}
SHAPES = [((3, 5), 7), ((9, 8), 16), ((2, 3, 4), 24), ((1, 1), 1), ((4,), 6)]


def options(activation):
    return {"activation": activation, "parameter": PARAMETERS.get(activation, 0.0)}


def reduced():
    for shape in ((9, 7), (9, 24)):
        x = numbers(*shape)
        assert_cuda_agrees("linear_activation", x, x[:7].copy(), x[0, :7].copy(), activation="gelu")
        assert_cuda_agrees("activation_backward", x, x, activation="gelu")


FAULTS = [
    Fault(
        "the bias of another column",
        "load<T, N, whole>(bias + column,",
        "load<T, N, whole>(bias + first,",
        "address",
    ),
    Fault(
        "no barrier before columns are added",
        "total[i];\n  __syncthreads();",
        "total[i];",
        "results",
    ),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_linear_activation_agrees(activation, dtype):
    for shape, outputs in SHAPES:
        x, weight = numbers(*shape, dtype=dtype), numbers(outputs, shape[-1], dtype=dtype, seed=1)
        for bias in (numbers(outputs, dtype=dtype, seed=2), None):
            assert_cuda_agrees(
                "linear_activation", x, weight, bias, factor=4, **options(activation)
            )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation_backward_agrees(activation, dtype):
    for shape in [(3, 7), (70, 40), (2, 3, 24), (6,)]:
        g, saved = numbers(*shape, dtype=dtype), numbers(*shape, dtype=dtype, seed=1)
        assert_cuda_agrees("activation_backward", g, saved, factor=4, **options(activation))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_extreme_numbers(activation):
    x = np.array([[0, -0.0, 1e-20, -1e-20, 100, -100, np.nan, np.inf]], np.float32).T
    one = np.ones((1, 1), np.float32)
    assert_cuda_agrees("linear_activation", x, one, None, **options(activation))
    finite = x[:7].copy()
    gradient = np.ones_like(finite)
    assert_cuda_agrees("activation_backward", gradient, finite, **options(activation))


def test_what_is_not_taken():
    x = np.ones((4, 6), np.float32)
    linear = launcher_of("linear_activation")
    assert linear(x[:, ::2], x[:, :3], None, activation=None) is NotImplemented
    assert linear(x[:0], x, None, activation=None) is NotImplemented
    assert (
        launcher_of("activation_backward")(x, x.astype(np.float64), activation="relu")
        is NotImplemented
    )

"""The gate of a feed-forward block agrees with the reference."""

import numpy as np
import pytest

from tests.cuda_on_cpu.faults import Fault
from tests.kernels.cuda.comparison import DTYPES, assert_cuda_agrees, launcher_of, numbers

pytestmark = pytest.mark.usefixtures("cuda_on_cpu")

ACTIVATIONS = ("relu", "silu", "gelu", "gelu_tanh")


def reduced():
    for shape in ((3, 10), (5, 2048)):
        assert_cuda_agrees("gated_activation", numbers(*shape), activation="silu", factor=4)


FAULTS = [
    Fault("the gate of the row before", "x + i / groups * 2", "x + i / groups * 1", "results"),
    Fault("a group reaches over the end", "min(N, columns - column)", "N", "address"),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_agrees(activation, dtype):
    for shape in [(2,), (3, 10), (2, 3, 64), (5, 2056)]:
        x = (3 * numbers(*shape)).astype(numbers(1, dtype=dtype).dtype)
        assert_cuda_agrees("gated_activation", x, activation=activation, factor=4)


def test_what_is_not_taken():
    x = numbers(4, 8)
    for wrong in (x[:, ::2], x.astype(np.int32), x[:0]):
        assert launcher_of("gated_activation")(wrong, activation="silu") is NotImplemented

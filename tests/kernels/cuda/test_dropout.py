"""Dropout drops the same elements as the reference, bit for bit."""

import numpy as np
import pytest

from tests.cuda_on_cpu.faults import Fault
from tests.kernels.cuda.comparison import DTYPES, assert_cuda_agrees, launcher_of, numbers
from tinynn.backend.kernel_table import reference_of

pytestmark = pytest.mark.usefixtures("cuda_on_cpu")

COUNTERS = {"key": 2**63 + 12345, "stream": 7, "step": 11, "offset": 0}
LARGE = {"key": 1, "stream": 2**32 + 1, "step": 2**33 + 5, "offset": 2**32 - 2}
SHAPES = [(0, 3), (3, 0), (1, 1), (5, 3), (2, 4), (3, 5, 7), (9,), (), (2, 1021), (40, 64)]


def reduced():
    for shape in ((5, 3), (6, 32)):
        assert_cuda_agrees("dropout", numbers(*shape), p=0.3, exact=True, **COUNTERS)


FAULTS = [
    Fault("a wrong constant", "k1 += 0xBB67AE85u", "k1 += 0xBB67AE86u", "results"),
    Fault("one sample too many", "i < count * blocks;", "i < (count + 1) * blocks;", "address"),
    Fault(
        "a write beyond a short group",
        """      if (i < size) place[i] =""",
        """      if (i <= size) place[i] =""",
        "results",
    ),
    Fault(
        "a read beyond a short group",
        """      if (i < size) values[i] =""",
        """      if (i <= size) values[i] =""",
        "address",
    ),
    Fault(
        "a group at any address",
        "aligned && size >= N) {\n    const",
        "size >= N) {\n    const",
        "address",
    ),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_is_the_reference_bit_for_bit(shape, dtype):
    x = np.asarray(numbers(*shape, dtype=dtype))
    for counters in (COUNTERS, LARGE):
        assert_cuda_agrees("dropout", x, p=0.3, exact=True, **counters)


@pytest.mark.parametrize("p", [0.0, 1.0, 1e-10])
def test_extreme_probabilities(p):
    assert_cuda_agrees("dropout", numbers(3, 12), p=p, exact=True, **COUNTERS)


def test_stream_step_and_offset_may_be_arrays():
    x = numbers(4, 8)
    arrays = {name: np.array([value]) for name, value in LARGE.items() if name != "key"}
    ours = launcher_of("dropout")(x, p=0.5, key=LARGE["key"], **arrays)
    np.testing.assert_array_equal(ours, reference_of("dropout")(x, p=0.5, **LARGE))


def test_what_is_not_taken():
    dropout = launcher_of("dropout")
    assert dropout(np.ones((4, 4), np.int32), p=0.5, **COUNTERS) is NotImplemented
    assert dropout(np.ones((4, 4), np.float32)[:, ::2], p=0.5, **COUNTERS) is NotImplemented

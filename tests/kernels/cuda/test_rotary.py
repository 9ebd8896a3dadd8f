"""Rotary embedding: the kernel against the reference."""

import numpy as np
import pytest

from tests.cuda_on_cpu.faults import Fault
from tests.kernels.cuda.comparison import DTYPES, assert_cuda_agrees, launcher_of, numbers

pytestmark = pytest.mark.usefixtures("cuda_on_cpu")

# Shapes of the vectors and of the tables of angles.
SHAPES = [
    ((5, 8), (5, 4)),
    ((7, 36), (7, 13)),
    ((2, 3, 5, 64), (5, 32)),
    ((9, 4, 32), (9, 1, 8)),
    ((2, 3, 5, 16), (2, 1, 5, 8)),
    ((2, 3, 5, 24), (3, 1, 8)),
    ((6,), (3,)),
    ((3, 5), (3, 0)),
    ((2, 0, 8), (2, 0, 4)),
]


def angles(table):
    turns = np.random.default_rng(1).uniform(-7, 7, table)
    return np.cos(turns).astype(np.float32), np.sin(turns).astype(np.float32)


def reduced():
    assert_cuda_agrees("rope", numbers(3, 20), *angles((3, 7)), interleaved=False)


FAULTS = [
    Fault(
        "the second number is turned with the first already turned",
        "b = b * cos + a * sin;",
        "b = b * cos + turned * sin;",
        "results",
    ),
]


@pytest.mark.parametrize("interleaved", [False, True], ids=["halves", "interleaved"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "table"), SHAPES, ids=str)
def test_agrees_with_the_reference(shape, table, dtype, interleaved):
    x = numbers(*shape, dtype=dtype)
    assert_cuda_agrees("rope", x, *angles(table), interleaved=interleaved)


def test_numbers_may_be_turned_where_they_lie():
    for interleaved in (False, True):
        x = numbers(5, 32)
        expected = launcher_of("rope")(x, *angles((5, 8)), interleaved=interleaved)
        launcher_of("rope")(x, *angles((5, 8)), interleaved=interleaved, out=x)
        np.testing.assert_array_equal(x, expected)


def test_heads_that_lie_beside_others():
    x = numbers(2, 3, 2, 5, 24)[..., 8:16]
    expected = launcher_of("rope")(x.copy(), *angles((5, 4)), interleaved=True)
    found = launcher_of("rope")(x, *angles((5, 4)), interleaved=True)
    np.testing.assert_array_equal(found, expected)


def test_what_is_not_taken():
    rope, x = launcher_of("rope"), numbers(2, 3, 2, 5, 8)
    assert rope(x, *angles((2, 1, 2, 1, 4)), interleaved=False) is NotImplemented
    assert rope(x.astype(np.int32), *angles((5, 4)), interleaved=False) is NotImplemented

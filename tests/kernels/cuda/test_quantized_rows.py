"""Rows of a quantized matrix agree with the reference."""

import numpy as np
import pytest

from tests.cuda_on_cpu.faults import Fault
from tests.kernels.cuda.comparison import assert_cuda_agrees, launcher_of
from tests.kernels.quantized_blocks import SIZES, random_matrix

pytestmark = pytest.mark.usefixtures("cuda_on_cpu")

EACH_SIZE = pytest.mark.parametrize("size", SIZES)


def reduced():
    for size in SIZES:
        matrix, ids = random_matrix(size, 20, 300), np.array([3, 19, 0])
        assert_cuda_agrees("quantized_rows", ids, *matrix[:2], outputs=20, columns=300, factor=4)


FAULTS = [
    Fault(
        "codes of four bits are not parted",
        "inside < 16 ? code & 15 : code >> 4",
        "code",
        "results",
    ),
]


@EACH_SIZE
def test_rows(size):
    matrix = random_matrix(size, 37, 575)
    ids = np.array([[36, 0, 17], [1, 36, 20]])
    assert_cuda_agrees("quantized_rows", ids, *matrix[:2], outputs=37, columns=575, factor=4)
    found = launcher_of("quantized_rows")(
        ids.astype(np.int32), *matrix[:2], outputs=37, columns=575
    )
    np.testing.assert_allclose(found, matrix.numbers[ids], rtol=1e-6)


@pytest.mark.parametrize("bad", [-1, 37])
def test_rows_that_are_not_there(bad):
    matrix = random_matrix(320, 37, 64)
    with pytest.raises(IndexError, match=rf"id {bad} \(number 2\), but the matrix has 37 rows"):
        launcher_of("quantized_rows")(np.array([3, 36, bad]), *matrix[:2], outputs=37, columns=64)

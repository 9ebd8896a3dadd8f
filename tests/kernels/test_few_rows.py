"""Products of few rows with a matrix of floats or of smaller numbers, against float64."""

import ml_dtypes
import numpy as np
import pytest
from numba import njit

from tinynn.kernels.cpu.arrays import stored
from tinynn.kernels.cpu.few_rows import LANES, add_mixture, columns_for, dots

DTYPES = [np.dtype(name) for name in ("float32", "float16", ml_dtypes.bfloat16, "int8")]
WIDTH, PITCH = 4 * LANES, 5 * LANES


def operands(rows, count, dtype):
    """Rows and a matrix whose numbers lie in wider ones, with NaN or 77 beside them."""
    rng = np.random.default_rng(rows)
    x = np.full((rows, PITCH), np.nan, np.float32)
    matrix = np.full((count, PITCH), 77 if dtype == np.int8 else np.nan).astype(dtype)
    for array in (x, matrix):
        array[:, :WIDTH] = (40 * rng.standard_normal((len(array), WIDTH))).clip(-127, 127)
    return x, matrix


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("rows", [1, 2, 3, 4])
def test_dots(rows, dtype):
    columns = columns_for(rows)
    x, matrix = operands(rows, columns, dtype)
    out = np.full((rows, columns + 3), -1, np.float32)
    dot = dots(rows)

    @njit
    def run(x, matrix, out):
        dot(x, 0, PITCH, matrix, 0, PITCH, WIDTH, out, 2, columns + 3)

    run(x, stored(matrix), out.reshape(-1)[: out.size])
    left, right = x[:, :WIDTH].astype(float), matrix[:, :WIDTH].astype(float)
    sizes = np.abs(left) @ np.abs(right).T
    assert (np.abs(out[:, 2:-1] - left @ right.T) <= 2e-6 * sizes).all()
    assert (out[:, :2] == -1).all()
    assert (out[:, -1] == -1).all()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("rows", "vectors"), [(1, 4), (2, 2), (3, 4), (4, 4), (4, 1)])
@pytest.mark.parametrize("count", [0, 1, 13])
def test_add_mixture(rows, vectors, count, dtype):
    _, matrix = operands(rows, max(count, 1), dtype)
    rng = np.random.default_rng(1)
    powers = rng.standard_normal((rows, 16)).astype(np.float32)
    before = rng.standard_normal((rows, PITCH)).astype(np.float32)
    out, width = before.copy(), vectors * LANES
    add = add_mixture(rows, vectors)

    @njit
    def run(powers, matrix, out):
        add(powers, 0, 16, matrix, 0, PITCH, count, out, 0, PITCH)

    run(powers, stored(matrix), out)
    left, right = powers[:, :count].astype(float), matrix[:count, :width].astype(float)
    sizes = np.abs(before[:, :width]) + np.abs(left) @ np.abs(right)
    assert (np.abs(out[:, :width] - before[:, :width] - left @ right) <= 2e-6 * sizes).all()
    np.testing.assert_array_equal(out[:, width:], before[:, width:])


@pytest.mark.parametrize("rows", [2, 3, 4])
def test_a_row_has_the_same_bits_alone(rows):
    x, matrix = operands(rows, LANES, np.dtype(np.float32))
    found = []
    for together in (1, rows):
        out = np.empty((rows, LANES), np.float32)
        dot, columns = dots(together), columns_for(together)

        @njit
        def run(x, matrix, out, dot=dot, together=together, columns=columns):
            for r in range(0, rows, together):
                for t in range(0, LANES, columns):
                    i, o = r * PITCH, r * LANES + t
                    dot(x, i, PITCH, matrix, t * PITCH, PITCH, WIDTH, out, o, LANES)

        run(x, matrix, out)
        found.append(out)
    np.testing.assert_array_equal(*found)

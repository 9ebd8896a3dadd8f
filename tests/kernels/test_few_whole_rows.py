"""Products of rows of int16 with a matrix of int8, against whole numbers of 64 bits."""

import re

import numpy as np
import pytest
from llvmlite import binding
from numba import njit

from tinynn.kernels.cpu.few_rows import columns_for
from tinynn.kernels.cpu.few_whole_rows import LANES, add_whole_mixture, round_to, whole_dots

PITCH = 17 * LANES


def operands(rows, count, x_pitch, width):
    """The most extreme whole numbers and random ones; others beside them."""
    rng = np.random.default_rng(rows)
    x = rng.integers(-32767, 32768, (rows, x_pitch)).astype(np.int16)
    matrix = rng.integers(-128, 128, (count, PITCH)).astype(np.int8)
    x[0], matrix[0] = -32767, -128
    matrix[:, width:] = 77
    return x, matrix


def close(found, expected):
    """To the last place of float32, which a sum of 64 bits is rounded to."""
    np.testing.assert_allclose(found, expected, rtol=2.0**-22)


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
@pytest.mark.parametrize("width", [LANES, 2 * LANES, 5 * LANES, 16 * LANES])
def test_whole_dots(rows, width):
    columns = columns_for(rows)
    x, matrix = operands(rows, columns, PITCH, width)
    out = np.full((rows, columns + 3), -1, np.float32)
    dot = whole_dots(rows)

    @njit
    def run(x, matrix, out):
        dot(x, 0, PITCH, matrix, 0, PITCH, width, out, 2, columns + 3)

    run(x, matrix, out)
    close(out[:, 2:-1], x[:, :width].astype(np.int64) @ matrix[:, :width].T.astype(np.int64))
    assert (out[:, [0, 1, -1]] == -1).all()


@pytest.mark.parametrize(("rows", "vectors"), [(1, 4), (2, 1), (3, 4), (4, 4), (4, 3)])
@pytest.mark.parametrize("count", [0, 2, 64])
def test_add_whole_mixture(rows, vectors, count):
    width = vectors * LANES
    x, matrix = operands(rows, max(count, 2), 64, width)
    factors = np.random.default_rng(1).uniform(0.5, 2, rows + 1).astype(np.float32)
    out = np.full((rows, PITCH), 3, np.float32)
    add = add_whole_mixture(rows, vectors)

    @njit
    def run(x, factors, matrix, out):
        add(x, 0, 64, factors, 1, matrix, 0, PITCH, count, out, 0, PITCH)

    run(x, factors, matrix, out)
    sums = x[:, :count].astype(np.int64) @ matrix[:count, :width].astype(np.int64)
    close(out[:, :width], 3 + factors[1:, None].astype(float) * sums)
    assert (out[:, width:] == 3).all()


def test_products_of_pairs_are_one_instruction_where_the_processor_has_it():
    if not binding.get_host_cpu_features().get("avx512vnni"):
        pytest.skip("the processor has no vpdpwssd for its widest vectors")
    dot = whole_dots(4)

    @njit
    def run(x, matrix, out):
        dot(x, 0, 64, matrix, 0, 64, 64, out, 0, 4)

    run(np.ones((4, 64), np.int16), np.ones((4, 64), np.int8), np.zeros((4, 4), np.float32))
    (code,) = run.inspect_asm().values()
    assert len(re.findall("vpdpwssd.*zmm", code)) >= 16


@njit
def rounded(x, out):
    return round_to(x, out)


@pytest.mark.parametrize("size", [1, 31, 128])
@pytest.mark.parametrize("largest", [1e-30, 1.0, 1e30])
def test_round_to_16_bits(size, largest):
    x = np.random.default_rng(size).uniform(-largest, largest, size).astype(np.float32)
    x[size // 2] = -largest
    out = np.empty(size, np.int16)
    scale = rounded(x, out)
    assert out[size // 2] == -32767
    np.testing.assert_allclose(out * np.float64(scale), x, rtol=1e-6, atol=0.501 * scale)


def test_round_to_the_dtype_that_a_row_has():
    x, out = np.array([1.5, np.nan, -3], np.float32), np.zeros(3, np.float32)
    assert rounded(x, out) == 1
    np.testing.assert_array_equal(out, x)


def test_round_nothing_and_what_is_no_number():
    out = np.ones(3, np.int16)
    assert rounded(np.zeros(3, np.float32), out) == 0
    assert (out == 0).all()
    assert np.isnan(rounded(np.array([1, np.nan, 2], np.float32), out))

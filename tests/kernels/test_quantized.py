"""Products with a quantized matrix, against float64 and the rounding of what is multiplied."""

import re

import numpy as np
import pytest
from llvmlite import binding
from numba import njit

import tinynn as tn
from tests.kernels.comparison import assert_kernel_agrees, kernel_of
from tests.kernels.quantized_blocks import SIZES, half_steps, random_matrix
from tinynn.backend.kernel_table import reference_of, table_for

quantized_linear = kernel_of("quantized_linear")

from tinynn.kernels.cpu.quantized_products import (  # noqa: E402
    add_group,
    best_instruction,
    finish,
    no_totals,
)

FUNCTIONS = pytest.mark.parametrize(
    "function", [quantized_linear, reference_of("quantized_linear")], ids=["kernel", "reference"]
)
EACH_SIZE = pytest.mark.parametrize("size", SIZES)
# Whole tiles and groups, and those that are not: (outputs, columns).
SHAPES = [(16, 32), (48, 96), (5, 40), (37, 575), (1, 1)]


def numbers(*shape, seed=1):
    x = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return x * np.float32(3)


@FUNCTIONS
@EACH_SIZE
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_product_is_as_near_as_the_rounding_of_x_allows(function, shape, size):
    outputs, columns = shape
    matrix, bias = random_matrix(size, outputs, columns), numbers(outputs)
    for count in (0, 1, 2, 3, 4, 7, 9, 17):
        x = numbers(count, columns)
        out = function(x, *matrix[:2], bias, outputs=outputs)
        expected = x.astype(float) @ matrix.numbers.T + bias
        bound = half_steps(x) @ np.abs(matrix.numbers).T
        bound += 2e-6 * (np.abs(x) @ matrix.parts.T + np.abs(bias))
        assert out.dtype == np.float32
        assert (np.abs(out - expected) <= bound).all()


@FUNCTIONS
@EACH_SIZE
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_with_activations_of_float32_only_sums_are_rounded(function, shape, size):
    outputs, columns = shape
    matrix, x = random_matrix(size, outputs, columns), numbers(11, columns)
    out = function(x, *matrix[:2], None, outputs=outputs, activations="float32")
    bound = 2e-6 * np.abs(x) @ matrix.parts.T
    assert (np.abs(out - x.astype(float) @ matrix.numbers.T) <= bound).all()


@EACH_SIZE
def test_a_prompt(size):
    matrix, x = random_matrix(size, 64, 576), numbers(512, 576)
    out = quantized_linear(x, *matrix[:2], None, outputs=64)
    bound = half_steps(x) @ np.abs(matrix.numbers).T + 2e-6 * np.abs(x) @ matrix.parts.T
    assert (np.abs(out - x.astype(float) @ matrix.numbers.T) <= bound).all()


@EACH_SIZE
@pytest.mark.parametrize("activations", ["int8", "float32"])
def test_kernel_agrees_with_reference(size, activations):
    matrix, x = random_matrix(size, 40, 96), numbers(2, 3, 96)
    assert_kernel_agrees(
        "quantized_linear",
        x,
        *matrix[:2],
        numbers(40),
        outputs=40,
        activations=activations,
        factor=4,
    )


@EACH_SIZE
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_largest_numbers_do_not_overflow(size, sign):
    matrix = random_matrix(size, 16, 4096)  # whose first row has the lowest codes, the last the
    x = np.full((9, 4096), sign * 1e30, np.float32)  # highest
    out = quantized_linear(x, *matrix[:2], None, outputs=16)
    bound = 3e-6 * np.abs(x).astype(float) @ matrix.parts.T
    assert (np.abs(out - x.astype(float) @ matrix.numbers.T) <= bound).all()


@FUNCTIONS
@EACH_SIZE
def test_zeros_and_numbers_that_count_as_zeros(function, size):
    matrix, bias = random_matrix(size, 20, 64), numbers(20)
    for value in (0.0, -0.0, 1e-45, 1e-31):
        x = np.full((3, 64), value, np.float32)
        out = function(x, *matrix[:2], bias, outputs=20)
        np.testing.assert_array_equal(out, np.broadcast_to(bias, (3, 20)))
    x = np.full((1, 64), 1e-30, np.float32)
    assert (function(x, *matrix[:2], None, outputs=20) != 0).any()


@FUNCTIONS
@EACH_SIZE
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_makes_its_row_nan_and_no_other(function, size, bad):
    matrix, x = random_matrix(size, 20, 96), numbers(11, 96)
    expected = quantized_linear(x, *matrix[:2], None, outputs=20)
    x[4, 70], x[9, 0] = bad, bad
    with np.errstate(all="ignore"):
        out = function(x, *matrix[:2], None, outputs=20)
    wrong = np.isin(np.arange(11), (4, 9))
    assert np.isnan(out[wrong]).all()
    np.testing.assert_allclose(out[~wrong], expected[~wrong], rtol=1e-4, atol=1e-3)


@EACH_SIZE
@pytest.mark.parametrize("activations", ["int8", "float32"])
def test_a_row_has_the_same_bits_alone(size, activations):
    matrix, x = random_matrix(size, 37, 160), numbers(17, 160)
    alone = [
        quantized_linear(row[None], *matrix[:2], None, outputs=37, activations=activations)
        for row in x
    ]
    for count in (2, 3, 5, 8, 16, 17):
        together = quantized_linear(
            x[:count], *matrix[:2], None, outputs=37, activations=activations
        )
        np.testing.assert_array_equal(together, np.concatenate(alone[:count]))


def test_the_same_bits_on_several_threads():
    matrix, x = random_matrix(320, 4000, 320), numbers(65, 320)
    found, threads = [], tn.get_num_threads()
    try:
        for number in (1, 2, 2):
            tn.set_num_threads(number)
            found.append(quantized_linear(x, *matrix[:2], None, outputs=4000))
    finally:
        tn.set_num_threads(threads)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_out_is_written_and_nothing_beside_it():
    matrix, x = random_matrix(544, 21, 64), numbers(3, 64)
    memory = np.full(3 * 21 + 32, 7, np.float32)
    out = memory[16:-16].reshape(3, 21)
    assert quantized_linear(x, *matrix[:2], None, outputs=21, out=out) is out
    np.testing.assert_array_equal(out, quantized_linear(x, *matrix[:2], None, outputs=21))
    assert (memory[:16] == 7).all()
    assert (memory[-16:] == 7).all()


def test_what_the_kernel_leaves_to_the_reference():
    matrix, x = random_matrix(544, 16, 64), numbers(4, 64)
    expected = quantized_linear(x, *matrix[:2], None, outputs=16)
    function = table_for("numpy").quantized_linear
    for other in (x.astype(np.float64), np.asfortranarray(x)):
        assert quantized_linear(other, *matrix[:2], None, outputs=16) is NotImplemented
        out = function(other, *matrix[:2], None, outputs=16)
        assert out.dtype == other.dtype
        np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-4)
    turned = np.empty((16, 4), np.float32).T
    assert function(x, *matrix[:2], None, outputs=16, out=turned) is turned
    np.testing.assert_allclose(turned, expected, rtol=1e-4, atol=1e-4)


def instructions():
    best, features = best_instruction(), binding.get_host_cpu_features()
    narrower = best == "avx512" and features.get("avx512vl")
    return ["none", *["avx2"] * bool(narrower), *[best] * (best != "none")]


def one_group(rows, instruction):
    """A function that multiplies `rows` rows of x with the only group of a tile."""
    zeros, add, end = no_totals(rows), add_group(rows, instruction), finish(rows)

    @njit
    def run(blocks, paired, shifted, row_scales, x, factors, sums, out):
        totals = add(zeros(), blocks, 0, paired, shifted, row_scales, x, 0, factors, sums, 0)
        end(totals, row_scales, None, 0, out, 0, 16, rows, 16)

    return run


@EACH_SIZE
@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("instruction", instructions())
def test_every_processor_finds_the_same(instruction, rows, size):
    matrix = random_matrix(size, 16, 32)
    bits, halves = SIZES[size]
    x = np.random.default_rng(2).integers(-127, 128, (rows, 32)).astype(np.int8)
    x[0] = -127
    factors = np.ones(rows, np.float32)
    sums = x.sum(axis=1, dtype=np.int32)
    sums = sums.astype(np.float32) if halves == 2 else -(2 ** (bits - 1)) * sums
    out = np.empty((rows, 16), np.float32)
    one_group(rows, instruction)(
        matrix.blocks,
        True if bits == 4 else None,
        True if halves == 2 else None,
        matrix.row_scales,
        x,
        factors,
        sums,
        out,
    )
    np.testing.assert_allclose(
        out, x.astype(float) @ matrix.numbers.T, rtol=1e-6, atol=3e-7 * 127 * matrix.parts.sum()
    )


def test_four_products_are_one_instruction_where_the_processor_has_it():
    if best_instruction() != "avx512":
        pytest.skip("the processor has no vpdpbusd for its widest vectors")
    run = one_group(4, None)
    blocks, x = np.zeros((1, 1, 544), np.uint8), np.zeros((4, 32), np.int8)
    factors, out = np.zeros(4, np.float32), np.zeros((4, 16), np.float32)
    run(blocks, None, None, None, x, factors, np.zeros(4, np.int32), out)
    (code,) = run.inspect_asm().values()
    assert len(re.findall("vpdpbusd.*zmm", code)) == 32

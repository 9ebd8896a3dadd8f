"""Matrices of few bits: what they do, and what they refuse."""

import numpy as np
import pytest

from tinynn.quant import HalfMatrix, QuantizedMatrix, quantize

FORMATS = ["int8", "int8-32", "int4", "int4-symmetric", "fp16", "bf16"]
EACH_FORMAT = pytest.mark.parametrize("format", FORMATS)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@EACH_FORMAT
def test_linear_is_the_product_with_the_numbers_of_the_matrix(format):
    matrix, x, bias = quantize(numbers(37, 75), format), numbers(2, 3, 75, seed=1), numbers(37)
    expected = x @ matrix.dequantize().T + bias
    for out in (None, np.empty((2, 3, 37), np.float32)):
        found = matrix.linear(x, bias, out=out)
        assert out is None or found is out
        np.testing.assert_allclose(found, expected, atol=0.3)
    np.testing.assert_allclose(matrix.linear(x[0, 0]), expected[0, 0] - bias, atol=0.3)
    assert matrix.linear(x.astype(np.float16)).dtype == np.float16


def test_activations_that_are_not_rounded():
    matrix, x = quantize(numbers(37, 75), "int4"), numbers(3, 75, seed=1)
    found = matrix.linear(x, activations="float32")
    np.testing.assert_allclose(found, x @ matrix.dequantize().T, rtol=1e-5, atol=1e-4)


@EACH_FORMAT
def test_rows_are_those_of_the_matrix(format):
    matrix, ids = quantize(numbers(37, 75), format), np.array([[36, 0], [5, 36]])
    expected = matrix.dequantize()[ids]
    np.testing.assert_array_equal(matrix.rows(ids), expected)
    out = np.empty((2, 2, 75), np.float32)
    assert matrix.rows(ids, out=out) is out
    np.testing.assert_array_equal(out, expected)
    for bad in (-1, 37):
        with pytest.raises(IndexError, match=rf"id {bad} \(number 1\), but the matrix has 37 rows"):
            matrix.rows(np.array([36, bad]))


@EACH_FORMAT
def test_shapes_that_do_not_fit(format):
    matrix, x = quantize(numbers(4, 40), format), numbers(3, 40)
    with pytest.raises(ValueError, match=r"linear: x is \[3, 39\], expected \[..., 40\]"):
        matrix.linear(x[:, :39])
    with pytest.raises(ValueError, match=r"linear: bias is \[5\], expected \[4\]"):
        matrix.linear(x, numbers(5))
    with pytest.raises(ValueError, match=r"linear: out is \[3, 5\], expected \[3, 4\]"):
        matrix.linear(x, out=numbers(3, 5))


def test_memory_is_what_the_bits_say():
    sizes = {format: quantize(numbers(160, 320), format).nbytes * 8 / 51200 for format in FORMATS}
    assert sizes == {
        "int8": 8.1, "int8-32": 8.5, "int4": 5, "int4-symmetric": 4.5, "fp16": 16, "bf16": 16
    }  # fmt: skip


def test_a_matrix_shows_what_it_is():
    assert repr(quantize(numbers(4, 5), "int4")) == "QuantizedMatrix('int4', shape=(4, 5))"
    assert repr(quantize(numbers(4, 5), "bf16")) == "HalfMatrix('bf16', shape=(4, 5))"


def test_what_is_refused():
    matrix = quantize(numbers(20, 40), "int8")
    with pytest.raises(ValueError, match=r"row_scales are None, expected \[32\] for blocks of 512"):
        QuantizedMatrix(matrix.blocks, None, (20, 40))
    with pytest.raises(ValueError, match=r"blocks are uint8 \[2, 2, 512\], expected uint8 \[3, 2"):
        QuantizedMatrix(matrix.blocks, matrix.row_scales, (40, 40))
    with pytest.raises(ValueError, match="activations is 'int4', expected 'int8' or 'float32'"):
        matrix.linear(numbers(1, 40), activations="int4")
    with pytest.raises(ValueError, match=r"weight is float32 \[4, 5\], expected float16 or bfloat"):
        HalfMatrix(numbers(4, 5))

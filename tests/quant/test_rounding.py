"""Rounding a matrix: each number is off by what its format says, whatever its size."""

import ml_dtypes
import numpy as np
import pytest

from tinynn.quant import HalfMatrix, QuantizedMatrix, quantize

SHAPES = pytest.mark.parametrize("shape", [(16, 32), (37, 75), (1, 1), (4100, 33)], ids=str)


def numbers(shape, seed=0):
    """Rows and columns of many sizes, a row of zeros, and columns of one sign."""
    rng = np.random.default_rng(seed)
    w = rng.standard_normal(shape) * np.exp(2 * rng.standard_normal((shape[0], 1)))
    w[shape[0] // 2] = 0
    w[:, ::40] = 3 + np.abs(w[:, ::40])
    return w.astype(np.float32)


def by_group(w, reduce):
    """A number for each group of 32 columns, beside each of the columns; what fills up is zero."""
    filled = np.zeros((len(w), -(-w.shape[1] // 32) * 32))
    filled[:, : w.shape[1]] = w
    found = reduce(filled.reshape(len(w), -1, 32), axis=2)
    return np.repeat(found, 32, axis=1)[:, : w.shape[1]]


HALF = 0.5 + 1e-6
FLOAT16 = 1 + 2.0**-9  # how much larger a scale of float16 may be


@SHAPES
def test_int8(shape):
    w = numbers(shape)
    matrix = quantize(w, "int8")
    scale = np.abs(w).max(axis=1, keepdims=True) / 127
    assert (np.abs(matrix.dequantize() - w) <= HALF * scale).all()
    assert (matrix.format, matrix.bits, matrix.shape) == ("int8", 8, shape)


@SHAPES
@pytest.mark.parametrize("size", [1.0, 1e-3, 3e4])
def test_int8_with_scales_for_groups(shape, size):
    w = numbers(shape) * np.float32(size / 1000)
    matrix = quantize(w, "int8-32")
    scale = by_group(np.abs(w), np.max) / 127
    assert (np.abs(matrix.dequantize() - w) <= HALF * FLOAT16 * scale + 2.0**-25).all()
    assert (matrix.format, matrix.bits) == ("int8-32", 8)


@SHAPES
@pytest.mark.parametrize("size", [1.0, 1e-3, 3e3])
def test_int4(shape, size):
    w = numbers(shape) * np.float32(size / 1000)
    matrix = quantize(w, "int4")
    low, high = by_group(w, np.min), by_group(w, np.max)
    # The offset may lie below the lowest number by its rounding, and the scale reaches from there.
    step = (high - low + np.abs(low) * 2.0**-9 + 2.0**-23) / 15 * FLOAT16
    assert (np.abs(matrix.dequantize() - w) <= HALF * step + 2.0**-24).all()
    assert (matrix.format, matrix.bits) == ("int4", 4)


@SHAPES
def test_int4_without_offsets(shape):
    w = numbers(shape)
    matrix = quantize(w, "int4-symmetric")
    scale = by_group(np.abs(w), np.max) / 8 * FLOAT16 + 2.0**-24
    error = np.abs(matrix.dequantize() - w)
    assert (error <= scale * (1 + 1e-6)).all()
    inside = np.abs(w) < 7 * scale / FLOAT16
    assert (error[inside] <= HALF * scale[inside]).all()
    assert (matrix.format, matrix.bits) == ("int4-symmetric", 4)


@pytest.mark.parametrize("format", ["int8", "int8-32", "int4", "int4-symmetric"])
def test_what_is_rounded_stays_as_it_is(format):
    matrix = quantize(numbers((37, 75)), format)
    again = quantize(matrix.dequantize(), format)
    np.testing.assert_allclose(again.dequantize(), matrix.dequantize(), rtol=2e-3, atol=1e-2)


@pytest.mark.parametrize("format", ["int8", "int8-32", "int4", "int4-symmetric"])
def test_more_bits_are_not_needed_for_zeros(format):
    matrix = quantize(np.zeros((20, 40), np.float32), format)
    np.testing.assert_array_equal(matrix.dequantize(), 0)


@pytest.mark.parametrize("format", ["int8", "int8-32", "int4", "int4-symmetric", "fp16"])
def test_other_floats_are_taken(format):
    for dtype in (np.float16, np.float64, ml_dtypes.bfloat16):
        w = numbers((20, 40)).astype(ml_dtypes.bfloat16 if dtype != np.float16 else dtype)
        expected = quantize(w.astype(np.float32), format).dequantize()
        np.testing.assert_array_equal(quantize(w.astype(dtype), format).dequantize(), expected)


@pytest.mark.parametrize(("format", "dtype"), [("fp16", np.float16), ("bf16", ml_dtypes.bfloat16)])
def test_halves(format, dtype):
    w = numbers((20, 40))
    matrix = quantize(w, format)
    assert isinstance(matrix, HalfMatrix)
    assert (matrix.format, matrix.bits, matrix.shape) == (format, 16, (20, 40))
    np.testing.assert_array_equal(matrix.weight, w.astype(dtype))
    np.testing.assert_array_equal(matrix.dequantize(), w.astype(dtype).astype(np.float32))


def test_what_is_refused():
    w = numbers((4, 8))
    with pytest.raises(ValueError, match="format is 'int2', expected one of int8, int8-32, int4"):
        quantize(w, "int2")
    with pytest.raises(ValueError, match=r"weight is float32 \[8\], expected floats with two axes"):
        quantize(w[0], "int8")
    with pytest.raises(ValueError, match=r"weight is int32 \[4, 8\], expected floats"):
        quantize(w.astype(np.int32), "int8")
    for bad in (np.nan, np.inf):
        w[1, 1] = bad
        with pytest.raises(ValueError, match="weight holds NaN or infinity"):
            quantize(w, "int8")
    w[1, 1] = 1e8
    for format in ("int8-32", "int4", "int4-symmetric"):
        with pytest.raises(ValueError, match="too large for float16 scales and offsets"):
            quantize(w, format)
    assert isinstance(quantize(w, "int8"), QuantizedMatrix)

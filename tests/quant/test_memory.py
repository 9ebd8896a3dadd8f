"""Matrices in one piece of memory: in order, once each, and with the numbers that they had."""

import numpy as np

from tinynn.quant import gather, quantize

FORMATS = ["int8", "int8-32", "int4", "int4-symmetric", "fp16", "bf16"]


def place(matrix):
    return getattr(matrix, "blocks", getattr(matrix, "weight", None))


def test_matrices_lie_behind_each_other_and_are_what_they_were():
    rng = np.random.default_rng(0)
    matrices = [
        quantize(rng.standard_normal((37, 75)).astype(np.float32), format) for format in FORMATS
    ]
    x = rng.standard_normal((3, 75)).astype(np.float32)
    before = [(matrix.dequantize(), matrix.linear(x), matrix.nbytes) for matrix in matrices]
    gather(matrices)
    end = 0
    for matrix, (numbers, product, nbytes) in zip(matrices, before, strict=True):
        np.testing.assert_array_equal(matrix.dequantize(), numbers)
        np.testing.assert_array_equal(matrix.linear(x), product)
        assert matrix.nbytes == nbytes
        start = place(matrix).ctypes.data
        assert start % 64 == 0
        assert start == end or end == 0
        end = -(-(start + place(matrix).nbytes) // 64) * 64
    assert len({id(place(matrix).base) for matrix in matrices}) == 1


def test_a_matrix_that_comes_twice_is_placed_once():
    one, other = (quantize(np.eye(32, dtype=np.float32), "int4") for _ in range(2))
    gather(iter([one, other, one]))
    assert other.blocks.ctypes.data - one.blocks.ctypes.data == 640
    np.testing.assert_array_equal(one.dequantize(), other.dequantize())


def test_memory_in_any_order_and_that_cannot_be_written():
    weight = np.asfortranarray(np.arange(12, dtype=np.float16).reshape(3, 4))
    weight.flags.writeable = False
    matrix = quantize(weight, "fp16")
    matrix.weight = weight
    gather([matrix])
    assert matrix.weight.flags.c_contiguous
    np.testing.assert_array_equal(matrix.weight, weight)


def test_no_matrices():
    gather([])

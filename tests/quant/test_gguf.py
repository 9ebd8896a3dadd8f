"""Matrices in GGUF's formats: bit for bit the numbers that the package gguf finds in them."""

import time

import numpy as np
import pytest

from tinynn.quant import from_gguf

gguf = pytest.importorskip("gguf")

KINDS = {"Q8_0": (34, "int8-32", 8), "Q4_0": (18, "int4-symmetric", 4), "Q4_1": (20, "int4", 4)}
EACH_KIND = pytest.mark.parametrize("kind", KINDS)


def random_blocks(kind, outputs, inputs, seed=0):
    """All bytes at random, the float16 among them finite and of any size."""
    rng = np.random.default_rng(seed)
    size = KINDS[kind][0]
    raw = rng.integers(0, 256, (outputs, inputs // 32, size), dtype=np.uint8)
    for place in (1, 3)[: 1 + (kind == "Q4_1")]:
        raw[..., place] &= 0b10111111  # no exponent of infinity and NaN
    return raw.reshape(outputs, -1)


@EACH_KIND
@pytest.mark.parametrize("shape", [(16, 32), (48, 96), (37, 64), (1, 32), (5, 160)], ids=str)
def test_numbers_are_those_of_the_file(kind, shape):
    raw = random_blocks(kind, *shape)
    expected = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType[kind])
    matrix = from_gguf(raw, kind, shape)
    np.testing.assert_array_equal(matrix.dequantize(), expected)
    assert (matrix.format, matrix.bits, matrix.shape) == (*KINDS[kind][1:], shape)
    ids = np.array([[shape[0] - 1, 0]])
    np.testing.assert_array_equal(matrix.rows(ids), expected[ids])


@EACH_KIND
def test_what_gguf_quantized(kind):
    w = np.random.default_rng(1).standard_normal((40, 64)).astype(np.float32)
    kind_of = gguf.GGMLQuantizationType[kind]
    raw = gguf.quants.quantize(w, kind_of)
    found = from_gguf(raw, kind, w.shape).dequantize()
    np.testing.assert_array_equal(found, gguf.quants.dequantize(raw, kind_of))
    assert np.abs(found - w).max() < (0.05 if kind == "Q8_0" else 0.6)


@EACH_KIND
def test_a_product_with_the_file(kind):
    raw = random_blocks(kind, 37, 96)
    w = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType[kind]).astype(float)
    x = np.random.default_rng(2).standard_normal((3, 96)).astype(np.float32)
    out = from_gguf(raw, kind, w.shape).linear(x, activations="float32")
    assert np.abs(out - x @ w.T).max() <= 1e-5 * (np.abs(x) @ np.abs(w).T).max()


@EACH_KIND
def test_memory_is_that_of_the_file(kind):
    raw = random_blocks(kind, 64, 96)
    assert from_gguf(raw, kind, (64, 96)).nbytes == raw.nbytes


@EACH_KIND
def test_bytes_are_read_and_not_changed(kind):
    raw = random_blocks(kind, 20, 64)
    raw.flags.writeable = False
    matrix = from_gguf(raw, kind, (20, 64))
    for other in (raw.reshape(-1), np.repeat(raw, 2, axis=0)[::2]):
        np.testing.assert_array_equal(from_gguf(other, kind, (20, 64)).blocks, matrix.blocks)


@pytest.mark.slow
def test_a_large_matrix_is_packed_at_once():
    raw = random_blocks("Q4_1", 49152, 576)
    start = time.perf_counter()
    from_gguf(raw, "Q4_1", (49152, 576))
    assert time.perf_counter() - start < 1


def test_what_is_refused():
    raw = random_blocks("Q4_1", 4, 64)
    with pytest.raises(ValueError, match="kind is 'Q6_K', expected one of Q8_0, Q4_0, Q4_1"):
        from_gguf(raw, "Q6_K", (4, 64))
    with pytest.raises(ValueError, match=r"shape is \(4, 60\), expected inputs in whole blocks"):
        from_gguf(raw, "Q4_1", (4, 60))
    with pytest.raises(ValueError, match="raw holds 160 numbers of uint8, expected the 200 of"):
        from_gguf(raw, "Q4_1", (5, 64))
    with pytest.raises(ValueError, match="raw holds 160 numbers of int8, expected the 160 of"):
        from_gguf(raw.view(np.int8), "Q4_1", (4, 64))

"""Matrices stacked: the numbers and the products of each, bit for bit."""

import numpy as np
import pytest

from tinynn.quant import quantize, stack

FORMATS = ["int8", "int8-32", "int4", "int4-symmetric", "fp16", "bf16"]


def matrices(format, *outputs):
    rng = np.random.default_rng(0)
    return [
        quantize(rng.standard_normal((count, 48)).astype(np.float32), format) for count in outputs
    ]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("outputs", [(32,), (16, 48, 5)], ids=str)
def test_a_stack_is_its_matrices(format, outputs):
    parts = matrices(format, *outputs)
    whole, x = stack(parts), np.random.default_rng(1).standard_normal((3, 48)).astype(np.float32)
    assert whole.format == format
    assert whole.shape == (sum(outputs), 48)
    np.testing.assert_array_equal(
        whole.dequantize(), np.concatenate([part.dequantize() for part in parts])
    )
    np.testing.assert_array_equal(
        whole.linear(x), np.concatenate([part.linear(x) for part in parts], axis=-1)
    )


def test_what_is_refused():
    with pytest.raises(ValueError, match="got no matrices, expected at least one"):
        stack([])
    with pytest.raises(ValueError, match="matrix 0 has 5 outputs, expected a multiple of 16"):
        stack(matrices("int4", 5, 16))
    one, other = *matrices("int4", 16), *matrices("int8", 16)
    with pytest.raises(ValueError, match=r"matrix 1 is QuantizedMatrix\('int8', shape=\(16, 48\)"):
        stack([one, other])
    narrow = quantize(np.ones((16, 40), np.float32), "int4")
    with pytest.raises(ValueError, match=r"shape=\(16, 40\)\), expected one like Quant.*16, 48"):
        stack([one, narrow])

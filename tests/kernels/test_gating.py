"""The gate of a feed-forward block: the kernel against the reference."""

import numpy as np
import pytest

from tests.kernels.comparison import DTYPES, assert_kernel_agrees

ACTIVATIONS = ("relu", "silu", "gelu", "gelu_tanh")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_kernel_agrees_with_reference(activation, dtype):
    rng = np.random.default_rng(0)
    for shape in [(0, 4), (3, 0), (2,), (7, 10), (2, 3, 64), (70, 2050)]:
        x = 3 * rng.standard_normal(shape).astype(dtype)
        assert_kernel_agrees("gated_activation", x, activation=activation)

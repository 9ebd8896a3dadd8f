"""Layer and RMS normalization agree with the references."""

import numpy as np
import pytest

from tests.cuda_on_cpu.faults import Fault
from tests.kernels.cuda.comparison import DTYPES, assert_cuda_agrees, launcher_of, numbers
from tinynn.backend.kernel_table import reference_of

pytestmark = pytest.mark.usefixtures("cuda_on_cpu")

# Whole groups and not, a warp and a block for a row, few rows and several parts of them.
SHAPES = [(1, 3), (7, 4), (2, 3, 33), (131, 16), (5, 1024), (2, 1031), (6,), (4, 1)]


def arrays(shape, dtype, affine):
    x, g = 1 + 2 * numbers(*shape), numbers(*shape, seed=1)
    parameters = numbers(2, shape[-1], seed=2) if affine else (None, None)
    kind = numbers(1, dtype=dtype).dtype
    return [None if a is None else a.astype(kind) for a in (x, g, *parameters)]


def size_of_terms(g, weight, rstd):
    """A gradient is a difference of such numbers. Of a row of one number it is next to nothing, and
    which rounding is left depends on whether a compiler joined a product and a sum."""
    scaled = g.astype(np.float64) * (1 if weight is None else weight.astype(np.float64))
    return float(np.abs(scaled * rstd[..., None].astype(np.float64)).max())


def reduced():
    for shape in ((9, 12), (2, 1031)):
        x, g, weight, bias = arrays(shape, "float32", True)
        assert_cuda_agrees("layer_norm", x, weight, bias, factor=8)
    _, mean, rstd = reference_of("layer_norm")(x, weight, bias)
    assert_cuda_agrees("layer_norm_backward", g, x, weight, mean, rstd, factor=8)


SUM = "sums[threadIdx.x / 32] = x;\n    __syncthreads();"
FAULTS = [
    Fault("no barrier before a sum is read", SUM, "sums[threadIdx.x / 32] = x;", "results"),
    Fault("no barrier before the next sum", "__syncthreads();  // the next", "//", "thread"),
    Fault(
        "a barrier that a warp misses", SUM, f"if (threadIdx.x >= 224) return x;\n{SUM}", "launch"
    ),
    Fault(
        "half a warp in the mask",
        "x += __shfl_xor_sync(WHOLE_WARP",
        "x += __shfl_xor_sync(0xffffu",
        "launch",
    ),
    Fault(
        "no barrier before columns are added",
        "total[i];\n  __syncthreads();",
        "total[i];",
        "results",
    ),
    Fault("one column too many", "if (column < columns)\n", "if (column <= columns)\n", "address"),
    Fault(
        "numbers beyond the row are counted", "if (whole || i < size) square", "square", "results"
    ),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_layer_norm_agrees(shape, affine, dtype):
    x, g, weight, bias = arrays(shape, dtype, affine)
    assert_cuda_agrees("layer_norm", x, weight, bias, factor=8, eps=1e-5)
    _, mean, rstd = reference_of("layer_norm")(x, weight, bias, eps=1e-5)
    terms = size_of_terms(g, weight, rstd)
    assert_cuda_agrees("layer_norm_backward", g, x, weight, mean, rstd, factor=8, terms=terms)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_rms_norm_agrees(shape, affine, dtype):
    x, g, weight, _ = arrays(shape, dtype, affine)
    assert_cuda_agrees("rms_norm", x, weight, factor=8, eps=1e-5)
    _, rstd = reference_of("rms_norm")(x, weight, eps=1e-5)
    terms = size_of_terms(g, weight, rstd)
    assert_cuda_agrees("rms_norm_backward", g, x, weight, rstd, factor=8, terms=terms)


def test_a_large_mean_costs_no_digits():
    """The spread of 10000 + x is that of x: the mean is subtracted before squaring."""
    x = np.random.default_rng(0).integers(-8, 8, (3, 64)).astype(np.float32)
    out, _, _ = launcher_of("layer_norm")(x + 10_000, None, None)
    expected, _, _ = reference_of("layer_norm")(x.astype(np.float64), None, None)
    np.testing.assert_allclose(out, expected, atol=2e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("columns", [20, 1040])
def test_nan_and_infinity_are_seen_in_their_row_alone(columns, bad):
    x = numbers(3, columns)
    x[1, 7] = bad
    out, *_ = launcher_of("layer_norm")(x, None, None)
    np.testing.assert_array_equal(np.isnan(out).any(axis=1), [False, True, False])


def test_what_is_not_taken():
    x = np.ones((3, 4), np.float32)
    assert launcher_of("layer_norm")(x, np.ones(4), None) is NotImplemented
    assert launcher_of("rms_norm")(x[:, ::2], None) is NotImplemented
    assert launcher_of("rms_norm")(x[:0], None) is NotImplemented  # the reference does that
    half = x.astype(np.float16)
    rstd = np.ones(3, np.float16)  # the forward pass gives float32
    assert launcher_of("rms_norm_backward")(half, half, None, rstd) is NotImplemented

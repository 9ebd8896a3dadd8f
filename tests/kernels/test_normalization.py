"""Layer and RMS normalization: the kernels against the references, and both against formulas."""

import numpy as np
import pytest

from tests.kernels.comparison import DTYPES, assert_kernel_agrees, kernel_of
from tinynn.backend.kernel_table import reference_of

SHAPES = [(0, 4), (1, 3), (7, 4), (2, 3, 33), (131, 5), (6,)]


def arrays(shape, dtype, affine):
    rng = np.random.default_rng(0)
    x = (1 + 2 * rng.standard_normal(shape)).astype(dtype)
    g = rng.standard_normal(shape).astype(dtype)
    weight, bias = rng.standard_normal((2, shape[-1])).astype(dtype)
    return x, g, *((weight, bias) if affine else (None, None))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_layer_norm_kernel_agrees_with_reference(shape, affine, dtype):
    x, g, weight, bias = arrays(shape, dtype, affine)
    assert_kernel_agrees("layer_norm", x, weight, bias, factor=8, eps=1e-5)
    _, mean, rstd = reference_of("layer_norm")(x, weight, bias, eps=1e-5)
    assert_kernel_agrees("layer_norm_backward", g, x, weight, mean, rstd, factor=8)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_rms_norm_kernel_agrees_with_reference(shape, affine, dtype):
    x, g, weight, _ = arrays(shape, dtype, affine)
    assert_kernel_agrees("rms_norm", x, weight, factor=8, eps=1e-5)
    _, rstd = reference_of("rms_norm")(x, weight, eps=1e-5)
    assert_kernel_agrees("rms_norm_backward", g, x, weight, rstd, factor=8)


@pytest.mark.parametrize("find", [kernel_of, reference_of], ids=["kernel", "reference"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_one_column_has_no_spread(dtype, find):
    x, g, weight, bias = arrays((5, 1), dtype, True)
    out, mean, rstd = find("layer_norm")(x, weight, bias, eps=0.25)
    np.testing.assert_array_equal(out, np.broadcast_to(bias, (5, 1)))
    np.testing.assert_array_equal(rstd, 2)
    gradient, weight_gradient, bias_gradient = find("layer_norm_backward")(g, x, weight, mean, rstd)
    np.testing.assert_allclose(gradient, np.zeros((5, 1)), atol=4 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(weight_gradient, 0)
    np.testing.assert_allclose(bias_gradient, [g.sum()], rtol=1e-6)
    out, rstd = find("rms_norm")(x, weight, eps=0.0)
    np.testing.assert_allclose(out, np.sign(x) * weight, rtol=1e-6)


@pytest.mark.parametrize("find", [kernel_of, reference_of], ids=["kernel", "reference"])
def test_layer_norm_is_its_formula(find):
    x, _, weight, bias = arrays((4, 9), "float64", True)
    out, mean, rstd = find("layer_norm")(x, weight, bias, eps=0.1)
    np.testing.assert_allclose(mean, x.mean(1))
    np.testing.assert_allclose(rstd, (x.var(1) + 0.1) ** -0.5)
    np.testing.assert_allclose((out - bias) / weight, (x - mean[:, None]) * rstd[:, None])


@pytest.mark.parametrize("find", [kernel_of, reference_of], ids=["kernel", "reference"])
@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_backward_is_the_derivative(name, find):
    x, g, weight, bias = arrays((3, 5), "float64", True)
    parameters = [x, weight, bias] if name == "layer_norm" else [x, weight]
    _, *residuals = find(name)(*parameters, eps=0.1)
    gradients = find(f"{name}_backward")(g, x, weight, *residuals)
    assert len(gradients) == len(parameters)
    step = 1e-6
    for parameter, gradient in zip(parameters, gradients, strict=True):
        for place in np.ndindex(parameter.shape):
            value = parameter[place]
            parameter[place] = value + step
            above = (g * find(name)(*parameters, eps=0.1)[0]).sum()
            parameter[place] = value - step
            below = (g * find(name)(*parameters, eps=0.1)[0]).sum()
            parameter[place] = value
            np.testing.assert_allclose(gradient[place], (above - below) / (2 * step), atol=1e-8)


@pytest.mark.parametrize("find", [kernel_of, reference_of], ids=["kernel", "reference"])
def test_a_large_mean_costs_no_digits(find):
    """The spread of 10000 + x is that of x: the mean is subtracted before squaring."""
    x = np.random.default_rng(0).integers(-8, 8, (3, 64)).astype(np.float32)
    out, _, _ = find("layer_norm")(x + 10_000, None, None)
    expected, _, _ = find("layer_norm")(x.astype(np.float64), None, None)
    np.testing.assert_allclose(out, expected, atol=2e-6)


@pytest.mark.parametrize("find", [kernel_of, reference_of], ids=["kernel", "reference"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_seen_in_their_row_alone(bad, find):
    x = np.random.default_rng(0).standard_normal((3, 20)).astype(np.float32)
    x[1, 7] = bad
    with np.errstate(invalid="ignore"):
        out, *_ = find("layer_norm")(x, None, None)
    np.testing.assert_array_equal(np.isnan(out).any(axis=1), [False, True, False])


def test_agrees_with_torch():
    torch = pytest.importorskip("torch")
    x, g, weight, bias = arrays((2, 3, 33), "float64", True)
    X, W, B = (torch.tensor(array, requires_grad=True) for array in (x, weight, bias))
    for name, parameters in {"layer_norm": (X, W, B), "rms_norm": (X, W)}.items():
        function = getattr(torch.nn.functional, name)
        expected = function(X, (33,), *parameters[1:], eps=1e-3)
        gradients = torch.autograd.grad(expected, parameters, torch.tensor(g))
        hosts = (x, weight, bias)[: len(parameters)]
        out, *residuals = kernel_of(name)(*hosts, eps=1e-3)
        np.testing.assert_allclose(out, expected.detach().numpy(), rtol=1e-12, atol=1e-14)
        ours = kernel_of(f"{name}_backward")(g, x, weight, *residuals)
        for actual, wanted in zip(ours, gradients, strict=True):
            np.testing.assert_allclose(actual, wanted.numpy(), rtol=1e-11, atol=1e-13)

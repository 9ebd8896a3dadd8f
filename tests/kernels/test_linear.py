"""Linear layer and activation: the kernel against the reference, and both against formulas."""

import math

import numpy as np
import pytest

from tests.kernels.comparison import DTYPES, assert_kernel_agrees, assert_same, kernel_of, run_both
from tinynn.backend.kernel_table import reference_of
from tinynn.backend.reference.activations import ACTIVATIONS, SAVES_INPUT

PARAMETER = {"leaky_relu": 0.1, "elu": 1.5}
# Rows, inputs, outputs: nothing, one, more rows than are summed at once, sizes that divide nothing,
# and two whose product is computed with the weight on the left.
SIZES = [(0, 3, 4), (3, 0, 4), (1, 1, 1), (7, 5, 3), (65, 17, 1), (130, 3, 37)]
SIZES += [(37, 128, 83), (64, 49, 128)]
SPECIAL = [-1e4, -100.0, -20.0, -1.0, -1e-4, -0.0, 0.0, 1e-30, 0.7, 3.0, 50.0, 1e4]


def numbers(rng, shape, dtype):
    return rng.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_kernel_agrees_with_reference(activation, dtype):
    rng = np.random.default_rng(0)
    attributes = {"activation": activation, "parameter": PARAMETER.get(activation, 0.0)}
    for rows, inputs, outputs in SIZES:
        x, weight = numbers(rng, (rows, inputs), dtype), numbers(rng, (outputs, inputs), dtype)
        bias, g = numbers(rng, outputs, dtype), numbers(rng, (rows, outputs), dtype)
        assert_kernel_agrees("linear_activation", x, weight, bias, **attributes)
        saved = run_both("linear_activation", x, weight, bias, **attributes)[0][-1]
        assert_kernel_agrees("activation_backward", g, saved, factor=4, **attributes)


@pytest.mark.parametrize("activation", [None, "relu", "gelu"])
def test_without_bias_and_with_leading_axes(activation):
    rng = np.random.default_rng(0)
    x, weight = numbers(rng, (2, 3, 5), "float32"), numbers(rng, (4, 5), "float32")
    assert_kernel_agrees("linear_activation", x, weight, None, activation=activation)
    assert_kernel_agrees("linear_activation", x[0, 0], weight, None, activation=activation)
    nothing, weight = x[:, :, :0].copy(), weight[:, :0].copy()
    assert_kernel_agrees("linear_activation", nothing, weight, None, activation=activation)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_extreme_and_missing_numbers(activation):
    x = np.array([*SPECIAL, np.inf, -np.inf, np.nan], np.float32)[:, None]
    weight, parameter = np.ones((1, 1), np.float32), PARAMETER.get(activation, 0.0)
    attributes = {"activation": activation, "parameter": parameter}
    assert_kernel_agrees("linear_activation", x, weight, None, **attributes)
    saved = run_both("linear_activation", x, weight, None, **attributes)[1][-1]
    ours, theirs = run_both("activation_backward", np.ones_like(x), saved, **attributes)
    assert_same(ours[0], theirs[0])


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name])
def test_activation_is_its_formula_and_backward_its_derivative(activation):
    parameter = PARAMETER.get(activation, 0.0)
    formula = {
        "relu": lambda x: max(x, 0.0),
        "leaky_relu": lambda x: x if x > 0 else parameter * x,
        "elu": lambda x: x if x > 0 else parameter * math.expm1(x),
        "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
        "tanh": math.tanh,
        "silu": lambda x: x / (1 + math.exp(-x)),
        "gelu": lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))),
        "gelu_tanh": lambda x: (
            0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        ),
    }[activation]
    x = np.linspace(-6.05, 6.05, 112)[:, None]
    attributes = {"activation": activation, "parameter": parameter}
    for function in (kernel_of("linear_activation"), reference_of("linear_activation")):
        result = function(x, np.ones((1, 1)), None, **attributes)
        out, saved = result if activation in SAVES_INPUT else (result, result)
        np.testing.assert_allclose(out[:, 0], [formula(value) for value in x[:, 0]], atol=1e-14)
        step = 1e-6
        slopes = [(formula(v + step) - formula(v - step)) / (2 * step) for v in x[:, 0]]
        backward = "activation_backward"
        for gradient in (kernel_of(backward), reference_of(backward)):
            slope, total = gradient(np.ones_like(x), saved, **attributes)
            np.testing.assert_allclose(slope[:, 0], slopes, atol=1e-8)
            np.testing.assert_allclose(total, [sum(slopes)], rtol=1e-7)


def test_float32_activations_keep_their_digits():
    """Within 4 units in the last place of float64, relative to numbers that are not tiny."""
    x = np.linspace(-12, 12, 20001, dtype=np.float32)[:, None]
    one = np.ones((1, 1), np.float32)
    for activation in ("sigmoid", "tanh", "elu"):
        out = kernel_of("linear_activation")(x, one, None, activation=activation, parameter=1.0)
        exact = {
            "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
            "tanh": np.tanh,
            "elu": lambda v: np.where(v > 0, v, np.expm1(v)),
        }[activation](x.astype(np.float64))
        error = np.abs(out - exact) / np.spacing(np.abs(exact).astype(np.float32))
        assert error.max() < 4, activation


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.astype(np.float16),
        lambda x: x[:, ::2],
        lambda x: np.asfortranarray(x),
    ],
    ids=["float16", "strided", "column-major"],
)
def test_what_the_kernel_does_not_take(change):
    x, weight = change(np.ones((4, 6), np.float32)), np.ones((2, 3), np.float32)
    kernel = kernel_of("linear_activation")
    assert kernel(x, weight[:, : x.shape[1]], None, activation="relu") is NotImplemented


def test_out_is_written():
    x, weight = np.ones((4, 3), np.float32), np.ones((2, 3), np.float32)
    for function in (kernel_of("linear_activation"), reference_of("linear_activation")):
        out = np.zeros((4, 2), np.float32)
        assert function(x, weight, None, activation=None, out=out) is out
        np.testing.assert_array_equal(out, 3)


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name])
def test_agrees_with_torch(activation):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    rng = np.random.default_rng(0)
    x, weight, g = (numbers(rng, shape, "float64") for shape in ((9, 5), (4, 5), (9, 4)))
    parameter = PARAMETER.get(activation, 0.0)
    pre = torch.tensor(x @ weight.T, requires_grad=True)
    arguments = {
        "leaky_relu": (parameter,),
        "elu": (parameter,),
    }.get(activation, ())
    name = activation.removesuffix("_tanh") if activation != "tanh" else activation
    keywords = {"approximate": "tanh"} if activation == "gelu_tanh" else {}
    expected = getattr(functional, name)(pre, *arguments, **keywords)
    expected.backward(torch.tensor(g))
    attributes = {"activation": activation, "parameter": parameter}
    result = kernel_of("linear_activation")(x, weight, None, **attributes)
    out, saved = result if activation in SAVES_INPUT else (result, result)
    gradient, _ = kernel_of("activation_backward")(g, saved, **attributes)
    np.testing.assert_allclose(out, expected.detach().numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(gradient, pre.grad.numpy(), rtol=1e-11, atol=1e-14)

"""Functions where samples do not go: extremes, corners, infinities; all without a warning."""

import math

import numpy as np
import pytest

import tinynn as tn
import tinynn.nn.functional as F

INF, NAN = math.inf, math.nan
LARGE = [-3e38, -1e4, -100.0, 0.0, 100.0, 1e4, 3e38]

# name: (function, its results for LARGE, its slopes there)
EXTREMES = {
    "sigmoid": (tn.sigmoid, [0, 0, 3.783506e-44, 0.5, 1, 1, 1], [0, 0, 4e-44, 0.25, 0, 0, 0]),
    "tanh": (tn.tanh, [-1, -1, -1, 0, 1, 1, 1], [0, 0, 0, 1, 0, 0, 0]),
    "silu": (F.silu, [0, 0, -4e-42, 0, 100, 1e4, 3e38], [0, 0, -4e-42, 0.5, 1, 1, 1]),
    "softplus": (F.softplus, [0, 0, 4e-44, 0.693147, 100, 1e4, 3e38], [0, 0, 4e-44, 0.5, 1, 1, 1]),
    "gelu": (F.gelu, [0, 0, 0, 0, 100, 1e4, 3e38], [0, 0, 0, 0.5, 1, 1, 1]),
    "elu": (F.elu, [-1, -1, -1, 0, 100, 1e4, 3e38], [0, 0, 4e-44, 1, 1, 1, 1]),
    "erf": (tn.erf, [-1, -1, -1, 0, 1, 1, 1], [0, 0, 0, 1.128379, 0, 0, 0]),
}


@pytest.mark.parametrize("name", EXTREMES)
def test_extreme_arguments(device, name):
    function, values, slopes = EXTREMES[name]
    x = tn.tensor(LARGE, device=device, requires_grad=True)
    result = function(x)
    (slope,) = tn.grad(result.sum(), x)
    # CuPy has the compiler flush the numbers below the smallest normal one to zero (-ftz=true).
    atol = np.finfo(np.float32).tiny if device == "cuda" else 1e-42
    np.testing.assert_allclose(result.tolist(), values, rtol=2e-6, atol=atol)
    np.testing.assert_allclose(slope.tolist(), slopes, rtol=2e-6, atol=atol)


# Where a function has a corner or a pole: (function, point, value, slope), as in PyTorch.
CORNERS = {
    "relu": (tn.relu, 0.0, 0.0, 0.0),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.5), 0.0, 0.0, 0.5),
    "elu": (lambda x: F.elu(x, 0.5), 0.0, 0.0, 0.5),
    "abs": (tn.abs, 0.0, 0.0, 0.0),
    "sign": (tn.sign, 0.0, 0.0, 0.0),
    "floor": (tn.floor, 1.0, 1.0, 0.0),
    "round": (tn.round, 2.5, 2.0, 0.0),
    "clamp at min": (lambda x: tn.clamp(x, 1, 2), 1.0, 1.0, 1.0),
    "clamp at max": (lambda x: tn.clamp(x, 1, 2), 2.0, 2.0, 1.0),
    "clamp below": (lambda x: tn.clamp(x, 1, 2), 0.5, 1.0, 0.0),
    "clamp crossed": (lambda x: tn.clamp(x, 2, 1), 1.5, 1.0, 0.0),
    "maximum of a tie": (lambda x: tn.maximum(x, 1.0), 1.0, 1.0, 0.5),
    "minimum of a tie": (lambda x: tn.minimum(x, 1.0), 1.0, 1.0, 0.5),
    "maximum of itself": (lambda x: tn.maximum(x, x), 1.0, 1.0, 1.0),
    "sqrt": (tn.sqrt, 0.0, 0.0, INF),
    "rsqrt": (tn.rsqrt, 0.0, INF, -INF),
    "log": (tn.log, 0.0, -INF, INF),
    "log of a negative": (tn.log, -1.0, NAN, -1.0),
    "log1p": (tn.log1p, -1.0, -INF, INF),
    "reciprocal": (tn.reciprocal, 0.0, INF, -INF),
    "exp": (tn.exp, 1e3, INF, INF),
    "relu of nan": (tn.relu, NAN, NAN, 1.0),
    "maximum with nan": (lambda x: tn.maximum(x, NAN), 1.0, NAN, 1.0),
}


@pytest.mark.parametrize("name", CORNERS)
def test_corners_and_poles(device, name):
    function, point, value, slope = CORNERS[name]
    x = tn.tensor(point, device=device, requires_grad=True)
    result = function(x)
    (gradient,) = tn.grad(result, x)
    np.testing.assert_equal([result.item(), gradient.item()], [value, slope])


@pytest.mark.parametrize("name", CORNERS)
def test_corners_and_poles_agree_with_torch(name):
    torch = pytest.importorskip("torch")
    torch.clip, torch_F = torch.clamp, torch.nn.functional
    peers = {
        "leaky_relu": lambda x: torch_F.leaky_relu(x, 0.5),
        "elu": lambda x: torch_F.elu(x, 0.5),
        "clamp at min": lambda x: torch.clamp(x, 1, 2),
        "clamp at max": lambda x: torch.clamp(x, 1, 2),
        "clamp below": lambda x: torch.clamp(x, 1, 2),
        "clamp crossed": lambda x: torch.clamp(x, 2, 1),
        "maximum of a tie": lambda x: torch.maximum(x, torch.tensor(1.0)),
        "minimum of a tie": lambda x: torch.minimum(x, torch.tensor(1.0)),
        "maximum of itself": lambda x: torch.maximum(x, x),
        "log of a negative": torch.log,
        "relu of nan": torch.relu,
        "maximum with nan": lambda x: torch.maximum(x, torch.tensor(NAN)),
    }
    _, point, value, slope = CORNERS[name]
    x = torch.tensor(point, requires_grad=True)
    result = (peers.get(name) or getattr(torch, name))(x)
    result.backward()
    np.testing.assert_equal([result.item(), x.grad.item()], [value, slope])


def test_softmax_with_infinities(device):
    x = tn.tensor([[0.0, -INF, 0.0], [-INF, -INF, -INF], [INF, 0.0, 0.0]], device=device)
    first, *others = tn.softmax(x, 1).tolist()
    assert first == [0.5, 0.0, 0.5]
    assert np.isnan(others).any(axis=1).all()
    assert tn.log_softmax(x, 1).tolist()[0] == pytest.approx([-math.log(2), -INF, -math.log(2)])


@pytest.mark.parametrize("function", [tn.softmax, tn.log_softmax])
def test_softmax_converts_first(function):
    x = tn.tensor([1, 2, 4])
    expected = function(x.to(tn.float64), 0)
    result = function(x, 0, dtype="float64")
    assert result.dtype == tn.float64
    assert result.tolist() == expected.tolist()
    assert function(x, 0).dtype == tn.float32


def test_where_of_numbers_alone():
    condition = tn.tensor([True, False])
    assert tn.where(condition, 1.5, 0).tolist() == [1.5, 0.0]
    assert tn.where(condition, 1.5, 0).dtype == tn.float32
    assert tn.where(condition, 1, 0).dtype == tn.int64
    assert tn.where(condition, tn.tensor([1, 2]), 0.5).dtype == tn.float32


def test_where_stops_what_is_not_chosen():
    x = tn.tensor([0.0, 4.0], requires_grad=True)
    (gradient,) = tn.grad(tn.where(x > 0, x, 1.0).log().sum(), x)
    assert gradient.tolist() == [0.0, 0.25]


def test_rounding_leaves_integers_as_they_are():
    x = tn.tensor([2**53 + 1, -3])
    for function in (tn.floor, tn.ceil, tn.round):
        assert function(x).tolist() == [2**53 + 1, -3]
        assert function(x).dtype == tn.int64


def test_rms_norm_adds_the_precision_of_the_dtype():
    x = tn.tensor([[1e-5, -1e-5]])
    scale = 1 / math.sqrt(1e-10 + 2**-23)
    result = F.rms_norm(x, (2,)).tolist()[0]
    assert result == pytest.approx([1e-5 * scale, -1e-5 * scale], rel=1e-5)


def test_layer_norm_of_a_constant_row_is_its_bias():
    x, bias = tn.full((2, 3), 7.0), tn.tensor([1.0, 2.0, 3.0])
    assert F.layer_norm(x, 3, bias=bias).tolist() == [[1.0, 2.0, 3.0]] * 2


@pytest.mark.parametrize("norm", [F.layer_norm, F.rms_norm])
def test_normalization_has_second_derivatives(norm):
    x = tn.tensor(np.random.default_rng(0).standard_normal((3, 4)), requires_grad=True)
    (gradient,) = tn.grad(norm(x, (4,)).square().square().sum(), x, create_graph=True)
    (second,) = tn.grad(gradient.square().sum(), x)
    step = 1e-6 * np.random.default_rng(1).standard_normal((3, 4))

    def size(array):
        point = tn.Tensor(array, requires_grad=True)
        (slope,) = tn.grad(norm(point, (4,)).square().square().sum(), point)
        return (slope.data**2).sum()

    expected = (size(x.data + step) - size(x.data - step)) / 2
    assert (second.data * step).sum() == pytest.approx(expected, rel=1e-6)


def test_einsum_sums_over_an_ellipsis_that_the_result_lacks():
    x = np.arange(24.0).reshape(2, 3, 4)
    result = tn.einsum("...i->i", tn.Tensor(x))
    np.testing.assert_array_equal(result.data, x.sum((0, 1)))


def test_einsum_ignores_what_is_off_the_diagonal():
    x = tn.tensor([[1.0, NAN], [INF, 2.0]], requires_grad=True)
    result = tn.einsum("ii->i", x)
    assert result.tolist() == [1.0, 2.0]
    (gradient,) = tn.grad(result.sum(), x)
    assert gradient.tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_einsum_promotes():
    result = tn.einsum("i,i", tn.tensor([1, 2]), tn.tensor([0.5, 1.5]))
    assert result.item() == 3.5
    assert result.dtype == tn.float32


def test_products_of_infinities_are_silent():
    x = tn.tensor([[INF, -INF]])
    assert math.isnan(tn.matmul(x, tn.ones(2, 1)).item())
    assert math.isnan(F.linear(x, tn.ones(1, 2)).item())

"""Linear layers are one matrix; a network with an activation is not, but for pieces."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinynn as tn
from tinynn.models import MLP
from tinynn.models.mlp import ACTIVATIONS
from tinynn.studies.nonlinearity.linearity import collapse, departure, pieces, rounding_bound

SIZES = st.lists(st.integers(1, 9), min_size=2, max_size=6)
SEEDS = st.integers(0, 2**32 - 1)


def network(sizes, seed, activation="identity", dtype=tn.float32):
    """Weights and biases of very different sizes, so that products cancel and grow."""
    random = np.random.default_rng(seed)
    model = MLP(sizes, activation).to(dtype)
    for parameter in model.parameters():
        parameter.data[...] = random.normal(0, 10.0 ** random.uniform(-2, 2), parameter.shape)
    return model


def points(sizes, seed, dtype=tn.float32, count=7):
    return tn.tensor(np.random.default_rng(seed + 1).normal(0, 3, (count, sizes[0])), dtype=dtype)


def weights_of(model):
    parameters = [parameter.data for parameter in model.parameters()]
    return list(zip(parameters[::2], parameters[1::2], strict=True))


# ---- collapse


@given(SIZES, SEEDS)
def test_the_matrix_is_the_product_of_all(sizes, seed):
    model = network(sizes, seed, dtype=tn.float64)
    weight, bias = np.eye(sizes[0]), np.zeros(sizes[0])
    size, size_of_bias = np.eye(sizes[0]), np.zeros(sizes[0])
    for w, b in weights_of(model):
        weight, bias = w @ weight, w @ bias + b
        size, size_of_bias = abs(w) @ size, abs(w) @ size_of_bias + abs(b)
    one = collapse(model)
    assert (one.in_features, one.out_features) == (sizes[0], sizes[-1])
    # An element is a sum of products, none of which goes through more than 100 roundings.
    assert (abs(one.weight.data - weight) <= 2e-14 * size).all()
    assert (abs(one.bias.data - bias) <= 2e-14 * size_of_bias).all()


@given(SIZES, SEEDS, st.sampled_from([tn.float32, tn.float64]))
def test_the_one_layer_does_what_the_network_does(sizes, seed, dtype):
    model, inputs = network(sizes, seed, dtype=dtype), points(sizes, seed, dtype)
    one = collapse(model)
    assert one.weight.dtype == dtype
    with tn.no_grad():
        apart = abs(one(inputs).numpy().astype(np.float64) - model(inputs).numpy())
    assert (apart <= rounding_bound(model, inputs.numpy())).all()


def test_the_network_is_left_as_it_is():
    model = network([4, 3, 2], 0)
    before = [weight.copy() for layer in weights_of(model) for weight in layer]
    one = collapse(model)
    one.weight.data[...] = 0
    one.bias.data[...] = 0
    after = [weight for layer in weights_of(model) for weight in layer]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)
    alone = network([4, 3], 0)  # whose one layer is not shared either
    collapse(alone).weight.data[...] = 0
    assert next(alone.parameters()).data.all()


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS.keys() - {"identity"}))
def test_a_network_with_an_activation_has_no_one_matrix(activation):
    with pytest.raises(ValueError, match="is not linear, the network has no one matrix"):
        collapse(network([3, 4, 2], 0, activation))


# ---- the bound


def exact(layers, sample):
    """What a network would compute without rounding, in fractions."""
    values = [Fraction(float(value)) for value in sample]
    for weight, bias in layers:
        values = [
            sum(
                (Fraction(float(w)) * v for w, v in zip(row, values, strict=True)),
                Fraction(float(b)),
            )
            for row, b in zip(weight, bias, strict=True)
        ]
    return values


@given(SIZES, SEEDS)
def test_both_lie_within_half_the_bound_of_the_exact_result(sizes, seed):
    model, inputs = network(sizes, seed), points(sizes, seed, count=2)
    with tn.no_grad():
        results = [model(inputs).numpy(), collapse(model)(inputs).numpy()]
    bounds = rounding_bound(model, inputs.numpy())
    for number, sample in enumerate(inputs.numpy()):
        for output, value in enumerate(exact(weights_of(model), sample)):
            for result in results:
                error = abs(Fraction(float(result[number, output])) - value)
                assert error <= Fraction(bounds[number, output] / 2)


def test_the_bound_is_too_narrow_for_another_network():
    model, inputs = network([20, 10, 10, 3], 1), points([20], 1)
    one = collapse(model)
    one.weight.data[:, 5] *= 1.001
    with tn.no_grad():
        apart = abs(one(inputs).numpy().astype(np.float64) - model(inputs).numpy())
    assert (apart > rounding_bound(model, inputs.numpy())).any()


def test_the_bound_by_hand():
    # Two layers of one input each: 2 * 2 roundings of 2^-53, and the paths 2 * 3 * 5, 2 * 7, 11.
    model = MLP([1, 1, 1], "identity").to(tn.float64)
    for parameter, value in zip(model.parameters(), (-3.0, 7.0, 2.0, -11.0), strict=True):
        parameter.data[...] = value
    bound = rounding_bound(model, np.array([[5.0]]))
    np.testing.assert_allclose(bound, [[2 * 4 * 2.0**-53 * (30 + 14 + 11)]], rtol=1e-12)


# ---- departure


@given(SIZES, SEEDS)
def test_an_affine_map_departs_by_rounding_only(sizes, seed):
    model = network(sizes, seed, dtype=tn.float64)
    first, second = points(sizes, seed, tn.float64), points(sizes, seed + 1, tn.float64)
    with tn.no_grad():
        chord = np.linalg.norm(((model(first) + model(second)) / 2).numpy())
    reach = rounding_bound(model, abs(first.numpy()) + abs(second.numpy()))
    assert departure(model, first, second) * chord <= np.linalg.norm(reach)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS.keys() - {"identity"}))
def test_a_network_with_an_activation_departs(activation):
    model = MLP([5, 30, 3], activation)
    assert departure(model, points([5], 0, count=50), points([5], 9, count=50)) > 0.01


def test_the_departure_of_relu_by_hand():
    # Between -2 and 4 the mean is 1, and the mean of relu(-2) = 0 and relu(4) = 4 is 2.
    x, y = tn.tensor([[-2.0]]), tn.tensor([[4.0]])
    assert departure(tn.nn.functional.relu, x, y) == 0.5


# ---- pieces


@given(st.lists(st.integers(1, 6), min_size=1, max_size=3), SEEDS)
def test_on_a_piece_a_relu_network_is_affine(hidden, seed):
    """Along a line, points of the same piece lie on one straight line of the output's graph."""
    model = network([2, *hidden, 1], seed, "relu", tn.float64)
    steps = np.linspace(-1, 1, 201)
    start, direction = np.random.default_rng(seed + 2).normal(0, 3, (2, 2))
    inputs = tn.tensor(start + steps[:, None] * direction, dtype=tn.float64)
    numbers = pieces(model, inputs)
    with tn.no_grad():
        outputs = model(inputs).numpy()[:, 0]
    # The same paths with absolute values tell how large what rounding acts on is.
    rounding = rounding_bound(network([2, *hidden, 1], seed, dtype=tn.float64), inputs.numpy())
    assert len(numbers) == 201
    for number in np.unique(numbers):
        inside = numbers == number
        line = np.polynomial.Polynomial.fit(steps[inside], outputs[inside], 1 * (inside.sum() > 1))
        assert (abs(line(steps[inside]) - outputs[inside]) <= 10 * rounding.max()).all()


def test_each_unit_that_switches_begins_a_piece():
    model = MLP([1, 3, 1])
    hidden = model.layers[0]
    hidden.weight.data[...] = 1.0
    hidden.bias.data[...] = [0.0, -1.0, -2.0]  # units switch on at 0, 1 and 2
    inputs = tn.tensor([[-0.5], [0.5], [1.5], [2.5], [0.7], [-3.0]])
    numbers = pieces(model, inputs).tolist()
    assert len(set(numbers[:4])) == 4
    assert numbers[4:] == [numbers[1], numbers[0]]


def test_a_network_without_relu_is_one_piece():
    assert pieces(network([3, 4, 2], 0), points([3], 0)).tolist() == [0] * 7

"""Reductions where they are special: ties, nan, infinities, zeros, no elements, 16-bit floats."""

import math

import numpy as np
import pytest

import tinynn as tn


def leaf(values, dtype=tn.float64):
    return tn.tensor(values, dtype=dtype, requires_grad=True)


def gradient(function, values):
    x = leaf(values)
    function(x).sum().backward()
    return x.grad.tolist()


@pytest.mark.parametrize("function", [tn.max, tn.amax, lambda x: x.amax(0)])
def test_ties_for_the_largest_share_the_gradient(function):
    assert gradient(function, [1.0, 3.0, 3.0, 2.0]) == [0, 0.5, 0.5, 0]


@pytest.mark.parametrize("function", [tn.min, tn.amin, lambda x: x.amin(0)])
def test_ties_for_the_smallest_share_the_gradient(function):
    assert gradient(function, [1.0, 3.0, 1.0, 1.0]) == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3])


def test_along_a_dim_the_first_of_equals_is_chosen():
    assert gradient(lambda x: x.max(0).values, [1.0, 3.0, 3.0]) == [0, 1, 0]
    assert gradient(lambda x: x.min(0)[0], [1.0, 1.0, 3.0]) == [1, 0, 0]


def test_max_along_a_dim_is_a_pair_with_names():
    result = tn.tensor([[1.0, 5.0], [7.0, 4.0]]).max(1)
    values, indices = result
    assert values is result.values
    assert indices is result.indices
    assert values.tolist() == [5, 7]
    assert indices.tolist() == [1, 0]
    assert indices.dtype == tn.int64
    assert repr(result) == "(values=tensor([5., 7.]), indices=tensor([1, 0]))"


@pytest.mark.parametrize("name", ["max", "min", "amax", "amin", "sum", "mean", "var", "prod"])
def test_nan_spreads(name):
    result = getattr(tn, name)(tn.tensor([1.0, math.nan, 3.0]))
    assert math.isnan(result.item())


def test_nan_is_where_argmax_points():
    x = tn.tensor([1.0, math.nan, 3.0])
    assert tn.argmax(x).item() == tn.argmin(x).item() == 1


def test_of_no_elements():
    nothing = tn.zeros(0, 3)
    assert tn.sum(nothing).item() == 0
    assert tn.prod(nothing).item() == 1
    assert math.isnan(tn.mean(nothing).item())
    assert tn.all(nothing).item() is True
    assert tn.any(nothing).item() is False
    assert tn.logsumexp(nothing, 0).tolist() == [-math.inf] * 3
    assert tn.mean(nothing, 1).shape == (0,)
    assert tn.max(nothing, 1).values.shape == (0,)


def test_the_variance_of_one_element_is_nan_and_without_correction_zero():
    x = tn.tensor([2.0])
    assert math.isnan(tn.var(x).item())
    assert tn.var(x, correction=0).item() == 0


def test_the_gradient_of_std_is_zero_where_all_are_equal():
    assert gradient(tn.std, [2.0, 2.0, 2.0]) == [0, 0, 0]


def test_logsumexp_neither_overflows_nor_turns_infinities_into_nan():
    x = tn.tensor(
        [[1000.0, 1000.0], [-1000.0, -1000.0], [-math.inf, 1.0], [-math.inf] * 2, [math.inf, 1.0]]
    )
    expected = [1000 + math.log(2), -1000 + math.log(2), 1.0, -math.inf, math.inf]
    np.testing.assert_allclose(tn.logsumexp(x, 1).numpy(), expected, rtol=1e-6)


def test_the_gradient_of_logsumexp_is_finite_beside_and_among_minus_infinity():
    inf = math.inf
    assert gradient(lambda x: x.logsumexp(1), [[-inf, 1.0], [-inf, -inf]]) == [[0, 1], [0, 0]]


def test_the_gradient_of_a_product_with_zeros():
    assert gradient(tn.prod, [2.0, 3.0, 4.0]) == [12, 8, 6]
    assert gradient(tn.prod, [2.0, 0.0, 4.0]) == [0, 8, 0]
    assert gradient(tn.prod, [0.0, 0.0, 4.0]) == [0, 0, 0]


def test_second_derivatives_of_a_product_with_zeros():
    """Of a product of n, the mixed derivative by two is the product of the others."""
    x = leaf([0.0, 3.0, 0.0, 2.0])
    (first,) = tn.grad(x.prod(), x, create_graph=True)
    rows = [tn.grad(first[i], x, retain_graph=True)[0].tolist() for i in range(4)]
    assert rows == [[0, 0, 6, 0], [0, 0, 0, 0], [6, 0, 0, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint8", "bool"])
@pytest.mark.parametrize("name", ["sum", "prod", "cumsum"])
def test_integers_add_up_in_int64(name, dtype):
    x = tn.tensor(np.ones(300, dtype))
    result = getattr(tn, name)(x, 0)
    assert result.dtype == tn.int64
    assert result.numpy().max() == (1 if name == "prod" else 300)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bit_floats_add_up_in_float32(dtype):
    x = tn.full((70_000,), 1.0).to(dtype)
    assert tn.mean(x).item() == 1
    assert tn.mean(x).dtype == x.dtype
    assert tn.sum(x / 2048).item() == pytest.approx(70_000 / 2048, rel=1e-2)
    assert tn.cumsum(x[:4096] / 16, 0)[-1].item() == 256
    assert tn.logsumexp(x, 0).item() == pytest.approx(1 + math.log(70_000), rel=1e-2)


def test_dtype_is_cast_to_first():
    x = tn.tensor([1, 2, 4])
    assert tn.mean(x, dtype=tn.float32).item() == pytest.approx(7 / 3)
    assert tn.sum(x, dtype=tn.float64).dtype == tn.float64
    assert tn.sum(tn.tensor([0.9, 0.9]), dtype=tn.int64).item() == 0

"""The largest eigenvalue of a Hessian, against the whole Hessian of tiny networks."""

import numpy as np
import pytest

import tinynn as tn
from tinynn.training.curvature import hessian_product, largest_eigenvalue

F = tn.nn.functional


def flat(vector):
    return np.concatenate([part.numpy().ravel() for part in vector])


def unflat(numbers, parameters):
    parts, start = [], 0
    for p in parameters:
        parts.append(tn.tensor(numbers[start : start + p.numel()].reshape(p.shape)))
        start += p.numel()
    return parts


def network(activation, seed=0, samples=40):
    """A float64 network of some 50 parameters, with data, and its loss as a function."""
    tn.manual_seed(seed)
    random = np.random.default_rng(seed)
    model = tn.models.MLP([4, 5, 3], activation).to(dtype=tn.float64)
    x = tn.tensor(random.normal(size=(samples, 4)))
    y = tn.tensor(random.integers(0, 3, samples))
    return list(model.parameters()), lambda: F.cross_entropy(model(x), y)


def hessian_by_differences(parameters, loss, step=1e-5):
    """Central differences of the gradient, one parameter at a time, by nothing but backward."""
    origin = [p.data.copy() for p in parameters]
    size = sum(p.numel() for p in parameters)

    def gradient(offset):
        for p, start, part in zip(parameters, origin, unflat(offset, parameters), strict=True):
            p.data[...] = start + part.numpy()
            p.bump_version()
        return flat(tn.grad(loss(), parameters))

    columns = []
    for index in range(size):
        offset = np.zeros(size)
        offset[index] = step
        columns.append((gradient(offset) - gradient(-offset)) / (2 * step))
    gradient(np.zeros(size))
    return np.stack(columns)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "relu"])
def test_the_product_is_that_of_the_whole_hessian(activation):
    parameters, loss = network(activation)
    hessian = hessian_by_differences(parameters, loss)
    product = hessian_product(loss(), parameters)
    for seed in range(3):
        vector = np.random.default_rng(seed).normal(size=len(hessian))
        found = flat(product(unflat(vector, parameters)))
        np.testing.assert_allclose(found, hessian @ vector, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "relu"])
@pytest.mark.parametrize("seed", range(3))
def test_the_eigenvalue_is_that_of_the_whole_hessian(activation, seed):
    parameters, loss = network(activation, seed)
    values, vectors = np.linalg.eigh(hessian_by_differences(parameters, loss))
    found = largest_eigenvalue(loss(), parameters, tolerance=1e-4, max_iterations=5000)
    assert found.value == pytest.approx(values[-1], rel=1e-5)
    assert abs(flat(found.vector) @ vectors[:, -1]) == pytest.approx(1, abs=1e-3)
    assert found.residual <= 1e-4 * found.value


def test_a_greater_negative_eigenvalue_does_not_mislead():
    # Its Hessian is diag(-9, 1, 2).
    x = tn.tensor([0.1, 0.2, 0.3], dtype=tn.float64, requires_grad=True)
    loss = (tn.tensor([-4.5, 0.5, 1.0], dtype=tn.float64) * x**2).sum()
    found = largest_eigenvalue(loss, [x], tolerance=1e-4)
    assert found.value == pytest.approx(2, rel=1e-6)


def test_a_good_start_takes_fewer_iterations():
    parameters, loss = network("tanh")
    first = largest_eigenvalue(loss(), parameters)
    again = largest_eigenvalue(loss(), parameters, start=first.vector)
    assert again.iterations == 1 < first.iterations


def test_the_residual_tells_of_an_unfinished_search():
    parameters, loss = network("tanh")
    found = largest_eigenvalue(loss(), parameters, tolerance=1e-9, max_iterations=2)
    assert found.iterations == 2
    assert found.residual > 1e-9 * found.value


def test_a_loss_without_curvature_has_eigenvalue_zero():
    x = tn.tensor([1.0, 2.0], requires_grad=True)
    assert largest_eigenvalue((3 * x).sum(), [x]).value == 0


def test_parameters_that_do_not_bend_the_loss_count_as_flat():
    x, y = (tn.tensor(2.0, dtype=tn.float64, requires_grad=True) for _ in range(2))
    found = largest_eigenvalue(x**2 + 5 * y, [x, y], tolerance=1e-6)
    assert found.value == pytest.approx(2)
    assert found.vector[1].item() == pytest.approx(0, abs=1e-6)


def test_gradients_are_left_alone():
    parameters, loss = network("tanh")
    largest_eigenvalue(loss(), parameters)
    assert [p.grad for p in parameters] == [None] * 4


def test_a_loss_that_is_not_finite_is_refused():
    x = tn.tensor([1.0, 2.0], requires_grad=True)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="the loss is not finite"):
        largest_eigenvalue((x**3 * float("inf")).sum(), [x])

"""tn.grad: gradients without `.grad`, and gradients of gradients."""

import numpy as np
import pytest

import tinynn as tn


def leaf(*values):
    return tn.tensor(list(values), dtype=tn.float64, requires_grad=True)


def test_grad_leaves_no_trace():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    product = (x * y).sum()
    found = tn.grad(product, (x, y))
    assert isinstance(found, tuple)
    assert found[0].tolist() == [3, 4]
    assert found[1].tolist() == [1, 2]
    assert x.grad is None
    assert y.grad is None
    assert not found[0].requires_grad


def test_grad_of_several_outputs_adds_them_up():
    x = leaf(1.0, 2.0)
    (found,) = tn.grad([(x * 3).sum(), (x * x).sum()], x)
    assert found.tolist() == [3 + 2, 3 + 4]


def test_grad_outputs_weigh_the_elements():
    x = leaf(1.0, 2.0)
    weights = tn.tensor([10.0, 20.0], dtype=tn.float64)
    (found,) = tn.grad(x * x, x, grad_outputs=weights)
    assert found.tolist() == [20, 80]
    (found,) = tn.grad([x * x, x.sum()], x, grad_outputs=[weights, None])
    assert found.tolist() == [21, 81]


def test_grad_with_respect_to_what_was_computed():
    x = leaf(1.0, 2.0)
    y = x * x
    z = (y * 3).sum()
    (found,) = tn.grad(z, y)
    assert found.tolist() == [3, 3]


def test_grad_with_respect_to_inputs_that_depend_on_one_another():
    """Each gradient counts all ways from its input, those through the other inputs too."""
    x = leaf(1.0, 2.0)
    y = x * x
    z = (y * x).sum()
    for_x, for_y = tn.grad(z, (x, y))
    assert for_y.tolist() == [1, 2]
    assert for_x.tolist() == [3, 12]


def test_grad_of_an_output_with_respect_to_itself():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    for_y, for_x = tn.grad(y, (y, x))
    assert for_y.item() == 1
    assert for_x.tolist() == [2, 4]
    (itself,) = tn.grad(x, x, grad_outputs=tn.ones(2, dtype=tn.float64))
    assert itself.tolist() == [1, 1]


def test_grad_asks_only_for_the_way_there():
    """What lies beside the way to the inputs is not differentiated."""
    x, y = leaf(1.0), leaf(2.0)
    called = []
    side = y * 2
    side.register_hook(lambda gradient: called.append(gradient))
    inner = side * 3
    tn.grad((x * 5 + inner).sum(), x)
    assert called == []


def test_the_same_input_twice():
    x = leaf(2.0)
    first, second = tn.grad((x * x).sum(), (x, x))
    assert first.tolist() == second.tolist() == [4]


def test_gradients_of_numbers_are_arrays():
    x = tn.tensor(2.0, requires_grad=True)
    y = x * x
    for found in tn.grad(y * y, (x, y)):
        assert type(found.data) is np.ndarray
        assert found.shape == ()


def test_a_freed_part_is_not_taken_for_an_unused_one():
    x, y = leaf(1.0), leaf(2.0)
    shared = y.exp()
    shared.sum().backward()
    with pytest.raises(RuntimeError, match="graph was freed"):
        tn.grad((x * 2 + shared).sum(), (x, y), allow_unused=True)


def test_unused_inputs():
    x, y = leaf(1.0), leaf(2.0)
    z = (x * 2).sum()
    with pytest.raises(RuntimeError, match=r"do not depend on input 1 \(shape \(1,\)\)"):
        tn.grad(z, (x, y), retain_graph=True)
    for_x, for_y = tn.grad(z, (x, y), allow_unused=True)
    assert for_x.tolist() == [2]
    assert for_y is None


def test_inputs_and_outputs_must_require_grad():
    x = leaf(1.0)
    with pytest.raises(RuntimeError, match="grad: input 0 does not require grad"):
        tn.grad(x.sum(), tn.ones(1))
    with pytest.raises(RuntimeError, match="grad: output 0 does not require grad"):
        tn.grad(tn.ones(1), x)
    with pytest.raises(RuntimeError, match=r"one element, this one has shape \(2,\)"):
        tn.grad(leaf(1.0, 2.0) * 2, x)


def test_higher_derivatives():
    x = tn.tensor(2.0, dtype=tn.float64, requires_grad=True)
    derivative = x**5
    expected = 2.0**5
    for power in (5, 4, 3, 2, 1):
        (derivative,) = tn.grad(derivative, x, create_graph=True)
        expected = expected * power / 2.0
        assert derivative.item() == pytest.approx(expected)


def test_backward_with_create_graph_gives_a_differentiable_grad():
    x = leaf(1.0, 2.0)
    (x**3).sum().backward(create_graph=True)
    slope = x.grad
    assert slope.requires_grad
    x.grad = None
    slope.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [6, 12])


def test_create_graph_keeps_the_graph():
    x = leaf(3.0)
    y = (x * x).sum()
    (first,) = tn.grad(y, x, create_graph=True)
    y.backward()
    assert x.grad.tolist() == [6]
    assert first.tolist() == [6]


def test_hessian_of_a_quadratic_form():
    matrix = np.array([[2.0, 1.0], [0.5, 3.0]])
    x = leaf(1.0, -1.0)
    value = x @ (tn.tensor(matrix) @ x)
    (first,) = tn.grad(value, x, create_graph=True)
    rows = [tn.grad(first[i], x, retain_graph=True)[0].numpy() for i in range(2)]
    np.testing.assert_allclose(rows, matrix + matrix.T)


def test_a_gradient_penalty_trains():
    """The gradient of |d y / d x|^2 with respect to a weight, against its formula."""
    weight, x = leaf(0.5, -1.5), leaf(1.0, 2.0)
    y = (weight * x * x).sum()
    (slope,) = tn.grad(y, x, create_graph=True)
    (slope * slope).sum().backward()
    w, v = weight.detach().numpy(), x.detach().numpy()
    np.testing.assert_allclose(weight.grad.numpy(), 8 * w * v * v)


def test_grad_mode_does_not_matter_to_create_graph():
    x = leaf(2.0)
    y = (x**3).sum()
    with tn.no_grad():
        (first,) = tn.grad(y, x, create_graph=True)
    (second,) = tn.grad(first.sum(), x)
    assert second.tolist() == [12]

"""Who may write to a gradient, and what the graph keeps alive or guards."""

import gc
import weakref

import numpy as np
import pytest

import tinynn as tn


def test_recorded_gradients_of_two_leaves_are_two_tensors():
    a, b = (tn.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    given = tn.tensor([3.0, 4.0])
    (a + b).backward(given, create_graph=True)
    with tn.no_grad():
        a.grad.mul_(0)
    assert b.grad.tolist() == given.tolist() == [3, 4]


def test_recorded_gradients_stay_recorded_under_no_grad():
    x = tn.tensor([1.0, 2.0], requires_grad=True)
    y = (x**3).sum()
    with tn.no_grad():
        y.backward(create_graph=True)
    (curvature,) = tn.grad(x.grad.sum(), x)
    assert curvature.tolist() == [6, 12]


def test_grad_gives_no_part_of_an_optimizers_memory():
    layer = tn.nn.Linear(3, 2)
    tn.optim.SGD(layer.parameters(), lr=0.1)
    x = tn.ones(4, 3)
    (found,) = tn.grad(layer(x).sum(), layer.weight)
    assert layer.weight.grad is None
    (layer(x) * 100).sum().backward()
    assert found.tolist() == [[4, 4, 4]] * 2


def test_second_derivatives_of_a_fused_operation_guard_its_inputs():
    x = tn.tensor([[3.0, 4.0]], requires_grad=True)
    weight = tn.tensor([[1.0, 2.0]], requires_grad=True)
    given = tn.ones(1, 1, requires_grad=True)
    out = tn.nn.functional.linear(x, weight)
    (slope,) = tn.grad(out, x, given, create_graph=True)
    with tn.no_grad():
        weight.mul_(10)
    with pytest.raises(RuntimeError, match="changed in place"):
        tn.grad(slope.sum(), given)


def test_a_cast_keeps_nothing_of_its_input():
    x = tn.ones(1000, requires_grad=True)
    inner = x + 2
    alive = weakref.ref(inner.data)
    y = inner.to(tn.float64)
    del inner
    gc.collect()
    assert alive() is None
    with tn.no_grad():
        x += 1
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.ones(1000, np.float32), strict=True)

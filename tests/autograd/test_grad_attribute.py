"""`.grad`: what may be put into it, and what `retain_grad` keeps there."""

import numpy as np
import pytest

import tinynn as tn


@pytest.fixture
def x():
    return tn.tensor([1.0, 2.0], requires_grad=True)


@pytest.mark.parametrize(
    ("value", "error", "says"),
    [
        (5.0, TypeError, "expected None or a tensor, got float"),
        (np.ones(2, np.float32), TypeError, "got ndarray"),
        (tn.ones(3), RuntimeError, r"shape \(2,\), got \(3,\)"),
        (tn.ones(2, dtype=tn.float64), RuntimeError, "dtype float32, got float64"),
        (tn.ones(2).to("fake"), RuntimeError, "device cpu, got fake"),
    ],
)
def test_only_a_gradient_of_the_same_kind_can_be_set(x, value, error, says):
    with pytest.raises(error, match=f"grad: .*{says}"):
        x.grad = value
    assert x.grad is None


def test_a_retained_gradient_is_the_one_after_all_hooks(x):
    y = x * 2
    y.retain_grad()
    y.register_hook(lambda gradient: gradient * 10)
    y.sum().backward()
    assert y.grad.tolist() == [10, 10]
    assert x.grad.tolist() == [20, 20]


def test_a_retained_gradient_can_be_cleared_and_collected_again(x):
    y = x * 2
    y.retain_grad()
    y.sum().backward(retain_graph=True)
    y.grad = None
    assert y.grad is None
    (y * 3).sum().backward()
    assert y.grad.tolist() == [3, 3]


def test_grad_outputs_must_be_as_many_as_outputs(x):
    with pytest.raises(RuntimeError, match="2 outputs, but 1 grad_outputs"):
        tn.grad([x * 2, x * 3], x, [tn.ones(2)])
    with pytest.raises(RuntimeError, match="2 outputs, but 1 grad_outputs"):
        tn.grad([x * 2, x * 3], x, tn.ones(2))


@pytest.mark.parametrize(
    "arguments", [(5, tn.ones(1)), (tn.ones(1, requires_grad=True), 5), ([1.0], [])]
)
def test_grad_of_what_is_no_tensor(arguments):
    with pytest.raises(TypeError, match=r"grad: (out|in)puts must be tensors, got (int|float)"):
        tn.grad(*arguments)


def test_grad_takes_an_iterator_of_inputs(x):
    (found,) = tn.grad((x * 2).sum(), iter([x]))
    assert found.tolist() == [2, 2]

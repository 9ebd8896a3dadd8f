"""Hooks on gradients, and gradients kept of tensors that are no leaves."""

import numpy as np
import pytest

import tinynn as tn


@pytest.fixture
def x():
    return tn.tensor([1.0, 2.0], requires_grad=True)


def test_a_hook_sees_the_whole_gradient_once(x):
    seen = []
    y = x * 2
    y.register_hook(lambda gradient: seen.append(gradient.tolist()))
    x.register_hook(lambda gradient: seen.append(gradient.tolist()))
    (y * 3 + y * 4).sum().backward()
    assert seen == [[7, 7], [14, 14]]


def test_hooks_run_in_order_and_hand_on_what_they_return(x):
    order = []

    def times(factor):
        def hook(gradient):
            order.append(factor)
            return gradient * factor

        return hook

    y = x * 1
    y.register_hook(times(2))
    y.register_hook(lambda gradient: order.append("look"))
    y.register_hook(times(5))
    y.sum().backward()
    assert order == [2, "look", 5]
    assert x.grad.tolist() == [10, 10]


def test_hooks_can_be_taken_off(x):
    first = x.register_hook(lambda gradient: gradient * 2)
    x.register_hook(lambda gradient: gradient * 3)
    first.remove()
    first.remove()
    x.sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_a_hook_may_take_itself_off(x):
    calls = []

    def once(gradient):
        calls.append(1)
        handle.remove()

    handle = x.register_hook(once)
    x.sum().backward()
    x.sum().backward()
    assert calls == [1]


def test_hooks_run_on_each_backward_and_not_on_what_is_collected(x):
    seen = []
    x.register_hook(lambda gradient: seen.append(gradient.tolist()))
    (x * 2).sum().backward()
    (x * 3).sum().backward()
    assert seen == [[2, 2], [3, 3]]
    assert x.grad.tolist() == [5, 5]


def test_what_a_hook_kept_stays_as_it_was(x):
    kept = []
    x.register_hook(kept.append)
    (x * 2).sum().backward()
    (x * 3).sum().backward()
    assert kept[0].tolist() == [2, 2]


def test_leaves_own_what_hooks_gave_them():
    constant = tn.ones(2)
    a, b = (tn.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    for item in (a, b):
        item.register_hook(lambda gradient: constant)
    for _ in range(2):
        (a * b).sum().backward()
    assert constant.tolist() == [1, 1]
    assert a.grad.tolist() == b.grad.tolist() == [2, 2]
    assert not np.shares_memory(a.grad.data, b.grad.data)


def test_hooks_run_for_grad_and_are_recorded_under_create_graph(x):
    x.register_hook(lambda gradient: gradient * x)
    (first,) = tn.grad((x * x).sum(), x, create_graph=True)  # 2x * x
    assert first.tolist() == [2, 8]
    x2 = tn.tensor([1.0, 2.0], requires_grad=True)
    y = x2 * x2
    y.register_hook(lambda gradient: gradient * x2.detach() * 3)
    (first,) = tn.grad(y.sum(), x2, create_graph=True)  # 2x * 3 * constant
    (second,) = tn.grad(first.sum(), x2)
    assert second.tolist() == [6, 12]


@pytest.mark.parametrize(
    ("answer", "got"),
    [
        (lambda g: tn.ones(3), r"got a tensor of shape \(3,\) and float32"),
        (lambda g: g.to(tn.float64), "got a tensor.* and float64"),
        (lambda g: 1.0, "got float"),
    ],
)
def test_a_hook_must_return_a_gradient_of_the_same_kind(x, answer, got):
    for tensor in (x, x * 1):
        handle = tensor.register_hook(answer)
        with pytest.raises(RuntimeError, match=rf"shape \(2,\) and float32, {got}"):
            tensor.sum().backward()
        handle.remove()


def test_a_hook_on_what_needs_no_gradient_is_refused():
    with pytest.raises(RuntimeError, match="register_hook: the tensor does not require grad"):
        tn.ones(2).register_hook(print)


def test_retain_grad_keeps_the_gradient_of_what_was_computed(x):
    y = x * 2
    y.retain_grad()
    z = y * y
    z.sum().backward()
    assert y.grad.tolist() == [4, 8]
    assert z.grad is None


def test_retain_grad_adds_up_and_comes_after_earlier_hooks(x):
    y = x * 2
    y.register_hook(lambda gradient: gradient * 10)
    y.retain_grad()
    y.retain_grad()
    z = y.sum()
    z.backward(retain_graph=True)
    assert y.grad.tolist() == [10, 10]
    z.backward()
    assert y.grad.tolist() == [20, 20]


def test_retain_grad_of_a_leaf_changes_nothing(x):
    x.retain_grad()
    x.sum().backward()
    assert x.grad.tolist() == [1, 1]
    with pytest.raises(RuntimeError, match="retain_grad: the tensor does not require grad"):
        tn.ones(2).retain_grad()


def test_grad_can_be_set_on_leaves_alone(x):
    x.grad = tn.tensor([3.0, 4.0])
    x.sum().backward()
    assert x.grad.tolist() == [4, 5]
    with pytest.raises(RuntimeError, match=r"shape \(2,\), got \(3,\)"):
        x.grad = tn.ones(3)
    with pytest.raises(RuntimeError, match="only a leaf"):
        (x * 2).grad = tn.ones(2)

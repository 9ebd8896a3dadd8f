"""Whose memory a gradient is: a leaf's `.grad` is nobody else's."""

import numpy as np
import pytest

import tinynn as tn

FORMULAS = {
    "a + a": lambda a, b: a + a,
    "a + b": lambda a, b: a + b,
    "a - b": lambda a, b: a - b,
    "(a + b) + a": lambda a, b: (a + b) + a,
    "reshapes": lambda a, b: a.reshape(6) + b.reshape(6),
    "transposes": lambda a, b: a.T + b.T,
    "expand": lambda a, b: a.expand(4, 2, 3) + b,
    "slices": lambda a, b: a[:1] + b[1:],
    "cat": lambda a, b: tn.cat([a, b, a]),
    "stack": lambda a, b: tn.stack([a, b]),
    "clone": lambda a, b: a.clone() + b.to(tn.float64),
    "unsqueeze": lambda a, b: a.unsqueeze(0) + b.unsqueeze(0),
    "mean": lambda a, b: a.mean(dim=1, keepdim=True) + b,
    "where": lambda a, b: tn.where(a > b, a, b),
}


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_gradient_shares_memory(formula):
    random = np.random.default_rng(0)
    a, b = (tn.tensor(random.standard_normal((2, 3)), requires_grad=True) for _ in range(2))
    result = FORMULAS[formula](a, b)
    given = tn.Tensor(random.standard_normal(result.shape))
    before = given.numpy().copy()
    result.backward(given, retain_graph=True)
    once = [leaf.grad.numpy().copy() for leaf in (a, b) if leaf.grad is not None]
    arrays = [leaf.grad.data for leaf in (a, b) if leaf.grad is not None]
    for index, array in enumerate(arrays):
        for other in (*arrays[:index], given.data, result.data, a.data, b.data):
            assert not np.shares_memory(array, other)
    result.backward(given)
    np.testing.assert_array_equal(given.numpy(), before)
    for leaf, first in zip([leaf for leaf in (a, b) if leaf.grad is not None], once, strict=True):
        np.testing.assert_allclose(leaf.grad.numpy(), 2 * first)


def test_a_leaf_does_not_keep_the_users_gradient():
    x = tn.tensor([1.0, 2.0], requires_grad=True)
    given = tn.tensor([3.0, 4.0])
    x.backward(given)
    x.backward(given)
    assert given.tolist() == [3, 4]
    assert x.grad.tolist() == [6, 8]


def test_a_retained_gradient_is_not_the_users():
    y = tn.tensor([1.0, 2.0], requires_grad=True) * 1
    y.retain_grad()
    given = tn.tensor([3.0, 4.0])
    y.backward(given)
    y.grad.mul_(0)
    assert given.tolist() == [3, 4]


def test_a_gradient_handed_to_two_parents_is_added_to_for_neither():
    """c's gradient is borrowed by a and b; a's other use must not show in b's."""
    a, b = (tn.tensor([1.0], requires_grad=True) for _ in range(2))
    inner, other = a * 1, b * 1
    ((inner + other) + inner * 5).sum().backward()
    assert a.grad.tolist() == [6]
    assert b.grad.tolist() == [1]


def test_grad_of_leaves_gives_arrays_of_their_own():
    a, b = (tn.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    given = tn.tensor([3.0, 4.0])
    for_a, for_b = tn.grad(a + b, (a, b), grad_outputs=given)
    for_a.mul_(0)
    assert for_b.tolist() == given.tolist() == [3, 4]

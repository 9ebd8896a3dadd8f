"""A linear layer and the activation behind it become one operation, where nobody can tell."""

from __future__ import annotations

import numpy as np
import pytest

import tinynn as tn
from tests.capture.twice import bits
from tinynn.nn import functional as F

ACTIVATIONS = {
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "sigmoid": F.sigmoid,
    "tanh": F.tanh,
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
}
INPUTS, HIDDEN, OUTPUTS, ROWS = 12, 16, 5, 8
ROUNDING = 2.0**-24  # of one operation in float32, relative


def network():
    """(two layers, input, what the loss multiplies the output with)."""
    tn.manual_seed(0)
    layers = tn.nn.Linear(INPUTS, HIDDEN), tn.nn.Linear(HIDDEN, OUTPUTS)
    return (*layers, tn.randn(ROWS, INPUTS), tn.randn(ROWS, OUTPUTS))


def compiled(function, *arguments, **options):
    """The function compiled and replayed once."""
    step = tn.compile(function, **options)
    step(*arguments)
    step(*arguments)
    assert [plan.replays for plan in step.plans] == [1]
    return step


def operations(step):
    return {call.operation for call in step.plan.calls}


def is_joined(step):
    return "linear_activation" in operations(step)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_joined_operations_differ_by_rounding_only(name):
    """Each sum of n products is off by at most n roundings of the sum of their magnitudes, the
    activation by a few more; its value and slope are below 1.2 in magnitude times its argument, or
    below 1, its second derivative below 1."""
    first, second, x, factors = network()
    activation = ACTIVATIONS[name]

    def step(x):
        output = second(activation(F.linear(x, first.weight, first.bias)))
        (output * factors).sum().backward()
        gradient = first.weight.grad.clone()
        first.zero_grad()
        second.zero_grad()
        return output.detach(), gradient

    expected = step(x)
    joined, apart = compiled(step, x), compiled(step, x, fuse=False)
    assert is_joined(joined)
    assert not is_joined(apart)
    assert [bits(t.data) for t in apart(x)] == [bits(t.data) for t in expected]

    magnitudes = [np.abs(np.float64(t.data)) for t in (first.weight, first.bias, second.weight)]
    w1, b1, w2 = magnitudes
    size, factor_size = np.abs(np.float64(x.data)), np.abs(np.float64(factors.data))
    hidden = size @ w1.T + b1
    output = 1.2 * np.maximum(hidden, 1) @ w2.T + np.abs(np.float64(second.bias.data))
    allowed = 2 * ROUNDING * (INPUTS + HIDDEN + 8) * output
    back = 1.2 * factor_size @ w2
    slope = 2 * ROUNDING * (back * (OUTPUTS + ROWS + 8 + INPUTS * hidden)).T @ size
    for found, reference, bound in zip(joined(x), expected, (allowed, slope), strict=True):
        assert (np.abs(np.float64(found.data) - np.float64(reference.data)) <= bound).all()


def test_a_joined_plan_is_shorter():
    first, _, x, _ = network()

    def forward(x):
        return F.relu(F.linear(x, first.weight, first.bias))

    with tn.no_grad():
        joined, apart = compiled(forward, x), compiled(forward, x, fuse=False)
    assert operations(joined) == {"linear_activation"}
    assert operations(apart) == {"linear", "relu"}
    assert len(joined.plan.calls) < len(apart.plan.calls)


def returned_too(first, x):
    hidden = F.linear(x, first.weight, first.bias)
    return F.relu(hidden), hidden


def used_elsewhere(first, x):
    hidden = F.linear(x, first.weight, first.bias)
    return F.relu(hidden) + hidden.sum(1, keepdim=True)


def used_by_a_view(first, x):
    hidden = F.linear(x, first.weight, first.bias)
    return F.relu(hidden)[0] + hidden[1]


def changed_in_place(first, x):
    hidden = F.linear(x, first.weight, first.bias)
    hidden += 1
    return F.relu(hidden)


def two_activations(first, x):
    hidden = F.linear(x, first.weight, first.bias)
    return F.relu(hidden) + F.tanh(hidden)


def changed_afterwards(first, x):
    hidden = F.linear(x, first.weight, first.bias)
    result = F.relu(hidden)
    hidden -= 1
    return result + hidden


def of_a_view(first, x):
    return F.relu(F.linear(x, first.weight, first.bias)[:4])


SHARED = [
    returned_too,
    used_elsewhere,
    used_by_a_view,
    changed_in_place,
    two_activations,
    changed_afterwards,
    of_a_view,
]


@pytest.mark.parametrize("function", SHARED, ids=[f.__name__ for f in SHARED])
def test_not_joined_where_others_read_between(function):
    first, _, x, _ = network()

    def forward(x):
        return function(first, x)

    with tn.no_grad():
        step = compiled(forward, x)
        expected, found = forward(x), step(x)
    assert not is_joined(step)
    if isinstance(expected, tn.Tensor):
        expected, found = [expected], [found]
    assert [bits(t.data) for t in found] == [bits(t.data) for t in expected]


def test_not_joined_where_a_leaf_begins_between():
    first, _, x, _ = network()

    def step(x):
        hidden = F.linear(x, first.weight, first.bias)
        leaf = hidden.detach().requires_grad_()
        F.tanh(leaf).sum().backward()
        hidden.backward(leaf.grad)
        gradient, first.weight.grad, first.bias.grad = first.weight.grad.clone(), None, None
        return leaf.grad, gradient

    expected, replayed = step(x), compiled(step, x)
    assert not is_joined(replayed)
    assert [bits(t.data) for t in replayed(x)] == [bits(t.data) for t in expected]


@pytest.mark.parametrize("cut", ["detach", "no_grad"])
def test_not_joined_where_the_gradient_ends_between(cut):
    first, _, x, _ = network()
    scale = tn.ones(HIDDEN, requires_grad=True)

    def step(x):
        hidden = F.linear(x, first.weight, first.bias)
        if cut == "detach":
            hidden = hidden.detach()
        with tn.set_grad_enabled(cut != "no_grad"):
            hidden = F.relu(hidden)
        (hidden * scale).sum().backward()
        gradient, scale.grad = scale.grad, None
        return gradient

    expected, replayed = step(x), compiled(step, x)
    assert not is_joined(replayed)
    assert bits(replayed(x).data) == bits(expected.data)
    assert first.weight.grad is None


@pytest.mark.parametrize("watch", ["hook", "retain_grad", "gradient"])
def test_not_joined_where_the_gradient_between_is_watched(watch):
    first, _, x, _ = network()

    def step(x):
        hidden = F.linear(x, first.weight, first.bias)
        if watch == "hook":
            hidden.register_hook(lambda gradient: gradient * 2)
        elif watch == "retain_grad":
            hidden.retain_grad()
        result = F.gelu(hidden)
        if watch == "gradient":
            (between,) = tn.autograd.grad(result.sum(), [hidden])
            return between
        result.sum().backward()
        between = hidden.grad if watch == "retain_grad" else first.weight.grad.clone()
        first.zero_grad()
        return between

    expected, replayed = step(x), compiled(step, x)
    assert not is_joined(replayed)
    assert bits(replayed(x).data) == bits(expected.data)


def test_not_joined_for_a_leaky_relu_that_is_not_monotonic():
    first, _, x, _ = network()
    with tn.no_grad():
        step = compiled(lambda x: F.leaky_relu(first(x), -0.5), x)
        assert not is_joined(step)
        assert bits(step(x).data) == bits(F.leaky_relu(first(x), -0.5).data)


def test_what_is_joined_follows_the_branch_taken():
    first, _, x, _ = network()
    doubled = [False]

    def forward(x):
        if doubled[0]:
            x = x * 2
        return F.relu(F.linear(x, first.weight, first.bias))

    step = tn.compile(forward)
    with tn.no_grad():
        for doubled[0] in (False, False, True, True, False):
            np.testing.assert_allclose(step(x).data, forward(x).data, rtol=0, atol=1e-5)
    assert [{c.operation for c in plan.calls} for plan in step.plans] == [
        {"linear_activation"},
        {"mul", "linear_activation"},
    ]

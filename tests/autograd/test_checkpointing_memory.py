"""What is alive between forward and backward of a checkpointed function, and after it."""

from __future__ import annotations

import gc
import tracemalloc
import weakref

import pytest

import tinynn as tn
from tests.autograd.test_checkpointing import checkpoint_never, leaf


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def watched(alive):
    """A function that leaves a weak reference to the array of each step in a list."""

    def function(x):
        for _ in range(3):
            x = (x * 2).exp().tanh()
            alive.append(weakref.ref(x.data))
        return x * 1

    return function


def count(alive):
    return sum(reference() is not None for reference in alive)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_nothing_inside_is_alive_between_forward_and_backward(depth, no_collector):
    alive = []
    function = watched(alive)
    for _ in range(depth - 1):
        function = (lambda inner: lambda x: tn.checkpoint(inner, x) + 1)(function)
    x = leaf(1000)
    y = tn.checkpoint(function, x)
    assert (len(alive), count(alive)) == (3, 0)
    y.sum().backward()
    assert (len(alive), count(alive)) == (3 + 3 * depth, 0)


def test_a_kept_graph_and_one_that_is_given_up_hold_nothing(no_collector):
    alive, x, w = [], leaf(1000), leaf(1000)
    inside = watched(alive)
    y, z = tn.checkpoint(lambda x: (inside(x), w.exp()), x)
    y.sum().backward(retain_graph=True)
    assert count(alive) == 0
    tn.grad(y.sum(), x)
    assert count(alive) == 0
    node = weakref.ref(z.node)  # of what no backward came to
    del y, z
    assert node() is None


def test_a_failure_in_backward_leaves_nothing(no_collector):
    alive = []

    def fail(gradient):
        raise ValueError("stop")

    x = leaf(1000)
    x.register_hook(fail)
    y = tn.checkpoint(watched(alive), x).sum()
    with pytest.raises(ValueError, match="stop"):
        y.backward()
    assert count(alive) == 0


def test_the_peak_of_a_deep_network_is_that_of_one_layer():
    width, depth = 50_000, 12

    def layer(x):
        for _ in range(8):
            x = x.tanh()
        return x

    def peak(checkpoint):
        x = tn.ones(width, requires_grad=True)
        tracemalloc.start()
        y = x
        for _ in range(depth):
            y = checkpoint(layer, y)
        y.sum().backward()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found / (4 * width)

    assert peak(checkpoint_never) > 8 * depth
    assert peak(tn.checkpoint) < depth + 8 + 8

"""What cannot be checkpointed is refused, in words that say what to do."""

from __future__ import annotations

import re

import pytest

import tinynn as tn
from tests.autograd.test_checkpointing import leaf
from tinynn.nn import functional as F


def test_what_cannot_be_called_is_refused():
    with pytest.raises(TypeError, match="checkpoint: expected a function, got Tensor"):
        tn.checkpoint(leaf(3))
    with pytest.raises(ValueError, match="use_reentrant must be False"):
        tn.checkpoint(F.relu, leaf(3), use_reentrant=True)
    with pytest.raises(TypeError, match="argument"):
        tn.checkpoint(F.relu, leaf(3), nothing=3)


OTHERWISE = {
    "shape": (
        lambda x: x.sum(0).exp(),
        lambda x: x.sum(1).exp(),
        r"operation exp on (4,) float32 on cpu, before it was exp on (3,) float32 on cpu;",
    ),
    "dtype": (
        lambda x: x.to(tn.float64).exp(),
        lambda x: x.to(tn.float16).exp(),
        "operation exp on (4, 3) float16 on cpu, before it was exp on (4, 3) float64 on cpu;",
    ),
    "operation": (
        lambda x: x.exp(),
        lambda x: x.neg(),
        "operation neg, before it was exp on (4, 3) float32 on cpu;",
    ),
    "more": (lambda x: x.exp(), lambda x: x.exp().exp(), "makes 2 operations, before it made 1"),
    "none": (lambda x: x.exp(), lambda x: x.detach(), "makes 0 operations, before it made 1"),
    "draws": (lambda x: x.exp(), F.dropout, "draws more random numbers than before"),
}


@pytest.mark.parametrize("what", OTHERWISE)
def test_a_function_that_does_something_else_is_refused(what):
    *functions, message = OTHERWISE[what]
    left, x = iter(functions), leaf(4, 3)
    y = tn.checkpoint(lambda x: next(left)(x), x)
    with pytest.raises(RuntimeError, match=f"^checkpoint: computed again, .*{re.escape(message)}"):
        y.sum().backward()
    assert x.grad is None


def test_an_argument_changed_in_between_is_refused():
    x, given = leaf(4), tn.ones(4)
    y = tn.checkpoint(lambda x, pair: (x + pair[0]).relu(), x, [given])
    given += 1
    with pytest.raises(
        RuntimeError, match=r"an argument of <lambda>, of shape \(4,\), was changed"
    ):
        y.sum().backward()


def test_a_function_that_changes_an_argument_is_refused():
    def function(x, count):
        count += 1
        return x * count

    with pytest.raises(RuntimeError, match=r"an argument of function, of shape \(\), was changed"):
        tn.checkpoint(function, leaf(4), tn.tensor(0))


@pytest.mark.parametrize("depth", [1, 2])
def test_a_parameter_changed_in_between_is_refused(depth):
    layer, x = tn.nn.Linear(4, 4), leaf(2, 4)

    def function(x):
        return layer(x).relu()

    y = x
    if depth == 2:
        y = tn.checkpoint(lambda x: tn.checkpoint(function, x * 2), y)
    else:
        y = tn.checkpoint(function, y)
    with tn.no_grad():
        layer.weight += 1
    with pytest.raises(RuntimeError, match="operation linear of function reads was changed in pl"):
        y.sum().backward()

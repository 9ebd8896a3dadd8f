"""Tensors that the function makes itself are as it makes them, in every replay."""

from __future__ import annotations

import numpy as np
import pytest

import tinynn as tn
from tests.capture.twice import in_bits

NUMBERS = np.ones(3, np.float32)
MAKERS = {
    "numbers": lambda x, other: tn.tensor([1.0, 2.0, 3.0]),
    "a number": lambda x, other: tn.tensor(2.0),
    "no numbers": lambda x, other: tn.tensor([]),
    "a NumPy array": lambda x, other: tn.tensor(NUMBERS),
    "numbers on a device": lambda x, other: tn.tensor([1.0, 2.0], device="cpu"),
    "numbers, shared if they can be": lambda x, other: tn.as_tensor([1.0, 2.0]),
    "the argument": lambda x, other: tn.tensor(x),
    "a tensor of others": lambda x, other: tn.tensor(other),
    "a tensor of others in float64": lambda x, other: tn.tensor(other, dtype=tn.float64),
    "a clone": lambda x, other: other.clone(),
    "zeros": lambda x, other: tn.zeros(3),
    "ones": lambda x, other: tn.ones(2, 2, dtype=tn.float64),
    "full": lambda x, other: tn.full((3,), 2.5),
    "empty": lambda x, other: tn.empty(3).fill_(1.0),
    "arange": lambda x, other: tn.arange(3),
    "linspace": lambda x, other: tn.linspace(0, 1, 4),
    "eye": lambda x, other: tn.eye(3),
    "like another": lambda x, other: tn.full_like(other, 3.0),
    "a triangle": lambda x, other: tn.ones(3, 3).tril(),
    "a draw": lambda x, other: tn.rand(3),
    "integers": lambda x, other: tn.randint(5, (3,)),
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("change", [True, False], ids=["changed", "as made"])
def test_each_replay_begins_anew(name, change):
    """Whatever the function, or the caller with what was returned, writes into it."""

    def function(x):
        made = MAKERS[name](x, other)
        if change:
            made += 1
        return made, made * 2

    found = {}
    for kind, step in (("eager", function), ("compiled", tn.compile(function))):
        tn.manual_seed(0)
        other = tn.ones(3)
        found[kind] = []
        for number in range(4):
            made, twice = step(tn.full((3,), number))
            found[kind].append(in_bits([made, twice]))
            made.data[...] = 7
            twice.data[...] = 7
            if number == 1:
                other.add_(1)
    assert found["compiled"] == found["eager"]


def test_a_leaf_made_inside():
    x = tn.tensor([1.0, 2.0])

    def function(x):
        weight = tn.tensor([3.0, 4.0], requires_grad=True)
        for _ in range(2):
            (weight * x).square().sum().backward()
            with tn.no_grad():
                weight -= 0.1 * weight.grad
        return weight.detach(), weight.grad

    step = tn.compile(function)
    for factor in (1, 2, 3):
        assert in_bits(step(x * factor)) == in_bits(function(x * factor))


def test_parts_are_written_to():
    def function(x):
        table = tn.zeros(4, 3)
        table[1] = x
        table[tn.tensor([0, 3])] = 5.0
        table[2:, 1] += x[0]
        return table

    step = tn.compile(function)
    for number in range(3):
        x = tn.full((3,), float(number))
        assert in_bits(step(x)) == in_bits(function(x))


def test_loops_and_recursion():
    def power(x, exponent):
        return x if exponent == 1 else power(x, exponent - 1) @ x

    def function(x):
        total = tn.zeros(3, 3)
        for number in range(5):
            total = total + power(x, number + 1) / (number + 1)
        return total

    step = tn.compile(function)
    for seed in range(3):
        tn.manual_seed(seed)
        x = tn.randn(3, 3)
        assert in_bits(step(x)) == in_bits(function(x))

"""What a function looks at is compared before a replay, so that results are the function's."""

from __future__ import annotations

import types
from collections import namedtuple

import pytest

import tinynn as tn
from tests.capture.guard_cases import Cases, Plain, Slots
from tests.capture.twice import in_bits

X = tn.tensor([1.0, -2.0, 3.0])
CASES = [name for name in vars(Cases) if not name.startswith("_")]
IN_PLACE = {"tensor_written_to"}  # a plan reads the tensor anew


@pytest.mark.parametrize("name", CASES)
def test_a_change_is_seen(name):
    function, change = getattr(Cases, name)()
    step = tn.compile(function)
    results = []
    for number in range(6):
        if number in (2, 4):
            change()
        results.append(in_bits(step(X)))
        assert results[-1] == in_bits(function(X))
    assert results[0] == results[1] != results[2] == results[3] != results[4] == results[5]
    assert len(step.plans) == (1 if name in IN_PLACE else 3)


def test_what_the_function_itself_changes_is_seen():
    plain = Plain()

    def step(x):
        if plain.inner is None:
            plain.inner = 1
            return x * 0
        return x * 2

    step = tn.compile(step)
    results = [in_bits(step(X)) for _ in range(4)]
    assert results == [in_bits(X * factor) for factor in (0, 2, 2, 2)]
    assert step.plan.replays == 2


Pair = namedtuple("Pair", "layer scale")


@pytest.mark.parametrize("where", ["closure", "list", "dict", "namedtuple", "object", "argument"])
def test_train_and_eval_are_seen_wherever_a_module_is(where):
    layer = tn.nn.Dropout(0.5)
    x = tn.ones(100)
    held = {
        "list": [layer],
        "dict": {"layer": layer},
        "namedtuple": Pair(layer, 1),
        "object": types.SimpleNamespace(layer=[layer]),
    }.get(where)
    functions = {
        "closure": lambda x: layer(x),
        "list": lambda x: held[0](x),
        "dict": lambda x: held["layer"](x),
        "namedtuple": lambda x: held.layer(x),
        "object": lambda x: held.layer[0](x),
    }
    step = tn.compile(functions.get(where, lambda layer, x: layer(x)))
    given = (layer, x) if where == "argument" else (x,)
    for _ in range(2):
        for _ in range(2):
            assert (step(*given).data == 0).any()
        layer.eval()
        for _ in range(2):
            assert (step(*given).data == 1).all()
        layer.train()
    assert len(step.plans) == 2


def test_an_object_given_as_an_argument():
    step = tn.compile(lambda config, x: x * config.alpha + config.items[0])
    for plain in (Plain(), Plain(), Slots()):
        plain = Plain(2.0) if isinstance(plain, Slots) else plain
        for _ in range(3):
            for _ in range(2):
                expected = X * plain.alpha + plain.items[0]
                assert in_bits(step(plain, X)) == in_bits(expected)
            plain.alpha += 1
            plain.items[0] += 1


def test_a_function_given_as_an_argument():
    factor = [1.0]

    def activation(x):
        return x * factor[0]

    step = tn.compile(lambda activation, x: activation(x))
    for factor[0] in (1.0, 1.0, 2.0, 2.0, 1.0):
        assert in_bits(step(activation, X)) == in_bits(X * factor[0])
    assert in_bits(step(tn.tanh, X)) == in_bits(X.tanh())


def test_objects_that_come_and_go():
    """A new object may lie where one that is gone has been."""
    step = tn.compile(lambda layer, x: layer(x))
    with tn.no_grad():
        for number in range(12):
            layer = tn.nn.Linear(3, 3)
            layer.weight.fill_(number)
            assert in_bits(step(layer, X)) == in_bits(layer(X))

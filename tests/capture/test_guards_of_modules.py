"""Changes of modules, tensors, hooks and modes are seen; plans are bounded; results are right."""

from __future__ import annotations

import warnings

import pytest

import tinynn as tn
from tests.capture.twice import Training, agree, batches_of, bits, in_bits
from tinynn.capture import CaptureWarning
from tinynn.nn import functional as F

FACTOR = 1.0


class Net(tn.nn.Module):
    kind = 1.0

    def __init__(self):
        self.first = tn.nn.Linear(6, 8)
        self.last = tn.nn.Linear(8, 3)
        self.drop = tn.nn.Dropout(0.3)
        self.alpha = 1.0
        self.factors = [1.0, 1.0]
        self.sizes = (1, 2)
        self.act = tn.tanh
        self.register_buffer("shift", tn.zeros(3))

    def forward(self, x):
        x = self.drop(self.act(self.first(x))) * self.alpha * self.factors[1]
        return self.last(x) * FACTOR * self.kind * self.sizes[0] + self.shifted()

    def shifted(self):
        return self.shift * 2


def make(**extras):
    net = Net()
    optimizer = tn.optim.SGD(net.parameters(), lr=0.1, momentum=0.5)

    def step(x, labels):
        loss = F.cross_entropy(net(x), labels)
        if loss.requires_grad:
            loss.backward()
            optimizer.step()
        gradients = [None if p.grad is None else p.grad.clone() for p in net.parameters()]
        optimizer.zero_grad()
        return loss.detach(), gradients

    return Training(step, [net], [optimizer])


def some(count):
    return batches_of(count, (5, 6), classes=3)


def times(number):
    return lambda *arguments: arguments[-1] * number


def set_global(net, number):
    global FACTOR
    FACTOR = number


CHANGES = {
    "a number": lambda net, n: setattr(net, "alpha", n),
    "a number in a list": lambda net, n: net.factors.__setitem__(1, n),
    "a tuple": lambda net, n: setattr(net, "sizes", (int(n), 2)),
    "a number of the class": lambda net, n: setattr(Net, "kind", n),
    "a number that hides that of the class": lambda net, n: setattr(net, "kind", n),
    "a global of forward": set_global,
    "a function": lambda net, n: setattr(net, "act", lambda x: x.tanh() * n),
    "a buffer": lambda net, n: setattr(net, "shift", tn.full((3,), n)),
    "a layer": lambda net, n: setattr(net, "last", another_linear(n)),
    "the probability of dropout": lambda net, n: setattr(net.drop, "p", n / 10),
    "a new attribute": lambda net, n: setattr(net, f"attribute{n}", n),
}


def another_linear(number):
    layer = tn.nn.Linear(8, 3)
    with tn.no_grad():
        layer.weight.fill_(number)
    return layer


@pytest.mark.parametrize("name", CHANGES)
def test_attributes_of_modules(name, monkeypatch):
    monkeypatch.setattr(Net, "kind", 1.0)
    set_global(None, 1.0)

    def between(number, training):
        CHANGES[name](training.models[0], 1.0 + number // 3)

    def run_from_one():
        Net.kind = 1.0
        set_global(None, 1.0)
        return make()

    agree(run_from_one, some(9), between, plans=None)
    set_global(None, 1.0)


def test_a_parameter_is_replaced():
    def between(number, training):
        (net,), (optimizer,) = training.models, training.optimizers
        if number == 3:
            net.last.weight = tn.nn.Parameter(tn.ones(3, 8))
            optimizer.add_param_group({"params": [net.last.weight]})
        elif number == 6:
            net.last.bias = None
        elif number == 8:
            net.last.bias = tn.nn.Parameter(tn.ones(3))

    agree(make, some(10), between, plans=None)


def test_train_and_eval():
    def between(number, training):
        if number % 3 == 2:
            training.models[0].train(number % 2 == 0)
        if number == 10:
            training.models[0].drop.eval()

    agree(make, some(15), between, plans=None)


def test_layers_are_frozen_and_thawed():
    def between(number, training):
        net = training.models[0]
        net.first.requires_grad_(number not in (2, 3, 8, 9))
        net.last.requires_grad_(number not in (3, 4, 9))

    agree(make, some(14), between, plans=None)


def test_gradient_mode():
    step, eager = tn.compile(make().step), make().step
    tn.manual_seed(0)
    modes = [True, True, False, False, True, False, True]
    found, expected = [], []
    for results, function in ((found, step), (expected, eager)):
        tn.manual_seed(0)
        for mode, batch in zip(modes, some(7), strict=True):
            with tn.set_grad_enabled(mode):
                _, gradients = function(*map(tn.tensor, batch))
            results.append([gradient is not None for gradient in gradients])
    assert found == expected
    assert [any(row) for row in found] == modes
    assert len(step.plans) == 2


def test_number_of_threads():
    def between(number, training):
        tn.set_num_threads(1 + number % 2)

    before = tn.get_num_threads()
    try:
        agree(make, some(6), between, plans=2)
    finally:
        tn.set_num_threads(before)


def hooks_on_a_module(training, number):
    training.handles.append(training.models[0].first.register_forward_hook(times(1 + number)))


def hooks_before_a_module(training, number):
    training.handles.append(
        training.models[0].last.register_forward_pre_hook(
            lambda module, arguments: arguments[0] * number
        )
    )


def hooks_on_a_parameter(training, number):
    training.handles.append(training.models[0].first.weight.register_hook(times(1 + number)))


@pytest.mark.parametrize("add", [hooks_on_a_module, hooks_before_a_module, hooks_on_a_parameter])
def test_hooks_come_and_go(add):
    def between(number, training):
        if not number:
            training.handles = []
        if number in (2, 4, 6, 8, 10):
            add(training, number)
        if number in (5, 6, 7, 10, 12):
            training.handles.pop().remove()

    agree(make, some(15), between, plans=None)


@pytest.mark.parametrize("where", ["module", "tensor"])
def test_what_a_hook_looks_at(where):
    layer, factor, x = tn.nn.Linear(3, 3), [1.0], tn.ones(2, 3)
    if where == "module":
        layer.register_forward_hook(lambda module, arguments, output: output * factor[0])
    else:
        layer.weight.register_hook(lambda gradient: gradient * factor[0])

    def function(x):
        output = layer(x).sum()
        output.backward()
        gradient, layer.weight.grad, layer.bias.grad = layer.weight.grad, None, None
        return output.detach(), gradient

    step = tn.compile(function)
    for factor[0] in (1.0, 1.0, 2.0, 2.0, 1.0):
        assert in_bits(step(x)) == in_bits(function(x))
    assert len(step.plans) == 2


def test_gradients_that_are_there_before():
    """A gradient set by hand is added to, as it is without a plan."""

    def make():
        net = tn.nn.Linear(6, 3)

        def step(x):
            net(x).sum().backward()
            return [p.grad.clone() for p in net.parameters()]

        return Training(step, [net])

    def between(number, training):
        net = training.models[0]
        if number in (2, 3):
            net.weight.grad = tn.full((3, 6), float(number))
        elif number == 4:
            net.zero_grad()
        elif number == 7:
            net.zero_grad(set_to_none=False)

    agree(make, batches_of(10, (5, 6)), between, plans=None)


def test_gradients_that_pile_up_do_not_need_plan_after_plan():
    net = tn.nn.Linear(6, 3)

    def function(x):
        net(x).sum().backward()

    step = tn.compile(function)
    with warnings.catch_warnings():
        warnings.simplefilter("error", CaptureWarning)
        for (x,) in batches_of(40, (5, 6)):
            step(tn.tensor(x))
    assert len(step.plans) <= 2


def test_plans_are_bounded():
    """A warning, once, names what keeps changing; results are right all the time."""
    counter = [0]

    def function(x):
        return x * counter[0]

    step = tn.compile(function)
    x = tn.ones(3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for counter[0] in range(40):
            assert bits(step(x).data) == bits(function(x).data)
    (warning,) = caught
    assert warning.category is CaptureWarning
    assert "variable counter" in str(warning.message)
    assert "function" in str(warning.message)
    assert warning.filename == __file__
    assert len(step.plans) == 16
    counter[0] = 3  # a plan that is there is still replayed
    before = sum(plan.replays for plan in step.plans)
    assert bits(step(x).data) == bits(function(x).data)
    assert sum(plan.replays for plan in step.plans) == before + 1


def test_shapes_are_bounded():
    step = tn.compile(lambda x: x * 2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for size in range(1, 30):
            assert bits(step(tn.ones(size)).data) == bits(tn.full((size,), 2.0).data)
    (warning,) = caught
    assert "shapes or values of the arguments" in str(warning.message)
    assert len(step.plans) == 16

"""Functions that keep something in Python between calls: slower, and right all the same."""

from __future__ import annotations

import warnings

import pytest

import tinynn as tn
from tests.capture.twice import Training, agree, batches_of, bits
from tinynn.capture import CaptureWarning
from tinynn.nn import functional as F


def quietly(*arguments, **options):
    """As `agree`, without the warning that something keeps changing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaptureWarning)
        return agree(*arguments, **{"plans": None, **options})


class Normalization(tn.nn.Module):
    """Keeps a running mean, in one of several ways."""

    def __init__(self, way):
        self.way = way
        self.register_buffer("mean", tn.zeros(6))
        self.linear = tn.nn.Linear(6, 6)
        self.seen = None

    def forward(self, x):
        if self.training:
            with tn.no_grad():
                if self.way == "in place":
                    self.mean.mul_(0.9).add_(x.mean(0) * 0.1)
                else:
                    self.mean = 0.9 * self.mean + 0.1 * x.mean(0)
        self.seen = x.detach() if self.way == "looked at" else None
        return F.relu(F.linear(x - self.mean, self.linear.weight, self.linear.bias))


def normalizing(way):
    def make():
        model = Normalization(way)
        optimizer = tn.optim.AdamW(model.parameters(), lr=0.1)

        def step(x):
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss

        return Training(step, [model], [optimizer])

    return make


def test_a_buffer_written_in_place():
    agree(normalizing("in place"), batches_of(30, (8, 6)))


@pytest.mark.parametrize("way", ["assigned", "looked at"])
def test_an_attribute_assigned_a_tensor_of_the_step(way):
    """No plan fits twice, so it is soon run as it is."""
    quietly(normalizing(way), batches_of(30, (8, 6)))


def test_a_variable_assigned_a_tensor_of_the_step():
    def make():
        average, layer = tn.zeros(()), tn.nn.Linear(6, 1)

        def step(x):
            nonlocal average
            average = 0.9 * average + 0.1 * layer(x).detach().mean()
            return average

        return Training(step, [layer])

    quietly(make, batches_of(30, (8, 6)))


def test_what_was_assigned_is_put_back_after_an_error():
    model = normalizing("assigned")().models[0]
    before = model.mean

    def step(x):
        model(x)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        tn.compile(step)(tn.ones(2, 6))
    assert model.mean is before
    assert before.tolist() == [0.0] * 6


@pytest.mark.parametrize("fuse", [True, False])
def test_another_branch_the_first_time(fuse):
    """Also where operations would be joined, for which a function is run twice."""
    layer, x = tn.nn.Linear(4, 4), tn.randn(3, 4)

    def make():
        state = {"first": True}

        def function(x):
            if state["first"]:
                state["first"] = False
                x = (x * 2 + 1).tanh()
            return F.relu(F.linear(x, layer.weight, layer.bias))

        return function

    eager, step = make(), tn.compile(make(), fuse=fuse)
    with tn.no_grad():
        assert bits(step(x).data) == bits(eager(x).data)  # the first is never joined
        for _ in range(3):
            expected = eager(x).data
            assert abs(step(x).data - expected).max() <= 2**-20 * abs(expected).max()
    joined = "linear_activation" in {call.operation for call in step.plan.calls}
    assert (joined, step.plan.replays) == (fuse, 2)


def test_a_counter():
    def make():
        class Counter:
            steps = 0

        counter, layer = Counter(), tn.nn.Linear(6, 2)

        def step(x):
            counter.steps += 1
            return layer(x).detach() * counter.steps

        return Training(step, [layer])

    quietly(make, batches_of(30, (8, 6)))


def test_gradients_asked_for_in_the_step():
    """Whether there is one already decides what the step does."""

    def make():
        layer = tn.nn.Linear(6, 2)

        def step(x):
            for parameter in layer.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(0.5)
            layer(x).sum().backward()
            return [parameter.grad.clone() for parameter in layer.parameters()]

        return Training(step, [layer])

    def between(number, training):
        if number in (4, 5, 9):
            training.models[0].zero_grad()

    agree(make, batches_of(12, (8, 6)), between, plans=None)


def test_a_gradient_asked_for_of_what_the_step_does_not_use():
    other = tn.ones(3, requires_grad=True)
    step, x = tn.compile(lambda x: x if other.grad is None else x + other.grad), tn.ones(3)
    for gradient in (None, None, 1.0, 1.0, 2.0, None):
        other.grad = None if gradient is None else tn.full((3,), gradient)
        assert step(x).tolist() == [1.0 + (gradient or 0.0)] * 3


@pytest.mark.parametrize("owner", ["model", "optimizer"])
def test_gradients_zeroed_in_place_in_the_step(owner):
    def make():
        layer = tn.nn.Linear(6, 2)
        optimizer = tn.optim.AdamW(layer.parameters(), lr=0.1)

        def step(x):
            (layer if owner == "model" else optimizer).zero_grad(set_to_none=False)
            layer(x).square().sum().backward()
            optimizer.step()

        return Training(step, [layer], [optimizer])

    def between(number, training):
        if number == 0:
            for parameter in training.models[0].parameters():
                parameter.grad = tn.ones(*parameter.shape)
        elif number == 5:
            training.models[0].zero_grad()

    agree(make, batches_of(12, (8, 6)), between, plans=None)
    agree(make, batches_of(12, (8, 6)), plans=2)


@pytest.mark.parametrize("kind", ["adamw", "dampened"])
def test_parameters_used_in_some_steps(kind):
    """Their counts of steps differ from those of the others, in the same plan."""

    def make():
        used, sometimes = tn.nn.Linear(6, 2), tn.nn.Linear(6, 2)
        params = [*used.parameters(), *sometimes.parameters()]
        optimizer = {
            "adamw": lambda: tn.optim.AdamW(params, lr=0.1),
            "dampened": lambda: tn.optim.SGD(params, lr=0.1, momentum=0.9, dampening=0.5),
        }[kind]()

        def step(x, both):
            loss = (used(x) + (sometimes(x) if both else 0)).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss

        return Training(step, [used, sometimes], [optimizer])

    for pattern in (3, 4):
        batches = batches_of(20, (8, 6))
        uses = [(x, number % pattern == 0) for number, (x,) in enumerate(batches)]
        agree(make, uses, plans=None)
        agree(make, [(x, not both) for x, both in uses], plans=None)


def test_a_gradient_set_by_hand_in_the_step():
    def make():
        layer = tn.nn.Linear(6, 2)
        optimizer = tn.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)

        def step(x):
            params = list(layer.parameters())
            gradients = tn.autograd.grad(layer(x).square().mean(), params)
            for parameter, gradient in zip(params, gradients, strict=True):
                parameter.grad = gradient * 2
            optimizer.step()
            optimizer.zero_grad()

        return Training(step, [layer], [optimizer])

    agree(make, batches_of(12, (8, 6)))


def test_a_step_with_a_closure():
    def make():
        layer = tn.nn.Linear(6, 2)
        optimizer = tn.optim.SGD(layer.parameters(), lr=0.1)

        def step(x):
            def closure():
                optimizer.zero_grad()
                loss = layer(x).square().mean()
                loss.backward()
                return loss

            return optimizer.step(closure)

        return Training(step, [layer], [optimizer])

    agree(make, batches_of(12, (8, 6)))

"""A replayed step gives the bits that the step itself gives: losses, parameters, all state."""

from __future__ import annotations

import itertools

import pytest

import tinynn as tn
from tests.capture.twice import Training, agree, batches_of
from tinynn.nn import functional as F


class Perceptron(tn.nn.Module):
    def __init__(self, dropout=0.0):
        self.first = tn.nn.Linear(12, 16)
        self.drop = tn.nn.Dropout(dropout)
        self.second = tn.nn.Linear(16, 5)

    def forward(self, x):
        return self.second(self.drop(self.first(x).relu()))


def many(batches):
    """A thousand batches, the same ones again and again."""
    return itertools.islice(itertools.cycle(batches), 1000)


OPTIMIZERS = {
    "momentum": lambda p: tn.optim.SGD(p, lr=0.05, momentum=0.9),
    "nesterov": lambda p: tn.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "dampening": lambda p: tn.optim.SGD(p, lr=0.05, momentum=0.8, dampening=0.3),
    "adamw": lambda p: tn.optim.AdamW(p, lr=2e-3, weight_decay=0.1),
}


def classifier(make_optimizer, dropout=0.0, clear="end", **extras):
    """Makes a training of cross entropy; see `step` for the extras."""

    def make():
        model = Perceptron(dropout)
        optimizer = make_optimizer(list(model.parameters()))
        scheduler = extras["scheduler"](optimizer) if "scheduler" in extras else None

        def step(x, labels):
            if clear == "start":
                optimizer.zero_grad()
            loss = F.cross_entropy(model(x), labels)
            loss.backward()
            if "clip" in extras:
                norm = tn.nn.utils.clip_grad_norm_(model.parameters(), extras["clip"])
                loss = loss.detach() + 0 * norm
            optimizer.step()
            if scheduler is not None and extras.get("inside"):
                scheduler.step()
            if clear == "end":
                optimizer.zero_grad()
            return loss

        return Training(step, [model], [optimizer], [scheduler] if scheduler else [])

    return make


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_thousand_steps(name):
    make = classifier(OPTIMIZERS[name], dropout=0.2)
    # With dampening, the first step is another one than those that follow.
    agree(make, many(batches_of(7, (8, 12), classes=5)), plans=2 if name == "dampening" else 1)


@pytest.mark.parametrize("inside", [True, False])
def test_a_scheduler_over_a_thousand_steps(inside):
    make = classifier(
        OPTIMIZERS["adamw"],
        scheduler=lambda o: tn.optim.lr_scheduler.StepLR(o, step_size=100, gamma=0.7),
        inside=inside,
    )

    def between(number, training):
        if number and not inside:
            training.schedulers[0].step()

    batches = many(batches_of(5, (8, 12), classes=5))
    agree(make, batches, between)


@pytest.mark.parametrize("clip", [0.05, 100.0])
def test_gradients_are_clipped(clip):
    agree(
        classifier(OPTIMIZERS["momentum"], clip=clip),
        many(batches_of(5, (8, 12), classes=5)),
    )


@pytest.mark.parametrize("clear", ["start", "end", "outside"])
def test_gradients_are_cleared(clear):
    def between(number, training):
        if clear == "outside":
            training.optimizers[0].zero_grad()

    make = classifier(OPTIMIZERS["momentum"], clear=clear)
    agree(make, batches_of(30, (8, 12), classes=5), between)


def test_gradients_are_zeroed_in_place():
    def between(number, training):
        training.optimizers[0].zero_grad(set_to_none=False)

    make = classifier(OPTIMIZERS["momentum"], clear="outside")
    agree(make, batches_of(30, (8, 12), classes=5), between, plans=2)


def test_gradients_pile_up_when_nobody_clears_them():
    make = classifier(OPTIMIZERS["momentum"], clear="never")
    agree(make, batches_of(30, (8, 12), classes=5), plans=2)


def test_gradients_of_two_backward_calls_add_up():
    def make():
        model = Perceptron(0.1)
        optimizer = tn.optim.AdamW(model.parameters(), lr=1e-3)

        def step(x, labels):
            for half in (slice(0, 4), slice(4, 8)):
                loss = F.cross_entropy(model(x[half]), labels[half]) / 2
                loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss

        return Training(step, [model], [optimizer])

    agree(make, many(batches_of(5, (8, 12), classes=5)))


def test_gradients_add_up_over_calls():
    def make():
        model = Perceptron()
        optimizer = tn.optim.SGD(model.parameters(), lr=0.1)

        def step(x, labels, is_last):
            loss = F.cross_entropy(model(x), labels)
            loss.backward()
            if is_last:
                optimizer.step()
                optimizer.zero_grad()
            return loss

        return Training(step, [model], [optimizer])

    batches = batches_of(30, (8, 12), classes=5)
    agree(make, [(*batch, n % 3 == 2) for n, batch in enumerate(batches)], plans=3)


def test_two_optimizers_in_a_step():
    def make():
        model = Perceptron(0.1)
        weights = [model.first.weight, model.second.weight]
        optimizers = [
            tn.optim.AdamW(weights, lr=1e-3),
            tn.optim.SGD([model.first.bias, model.second.bias], lr=0.1, momentum=0.9),
        ]

        def step(x, labels):
            loss = F.cross_entropy(model(x), labels)
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
            return loss

        return Training(step, [model], optimizers)

    agree(make, many(batches_of(5, (8, 12), classes=5)))


def test_two_networks_against_each_other():
    def make():
        maker, judge = tn.nn.Linear(4, 6), tn.nn.Linear(6, 1)
        optimizers = [tn.optim.AdamW(maker.parameters()), tn.optim.AdamW(judge.parameters())]

        def step(noise, real):
            fake = maker(noise).tanh()
            judged = F.softplus(judge(fake.detach())).mean() + F.softplus(-judge(real)).mean()
            judged.backward()
            optimizers[1].step()
            optimizers[1].zero_grad()
            made = F.softplus(-judge(fake)).mean()
            made.backward()
            optimizers[0].step()
            for optimizer in optimizers:
                optimizer.zero_grad()
            return {"judge": judged, "maker": made}

        return Training(step, [maker, judge], optimizers)

    agree(make, batches_of(50, (8, 4), (8, 6)))


def test_a_gradient_of_a_gradient():
    def make():
        model = tn.nn.Sequential(tn.nn.Linear(12, 8), tn.nn.Tanh(), tn.nn.Linear(8, 1))
        optimizer = tn.optim.AdamW(model.parameters())

        def step(x):
            x = x.detach().requires_grad_()
            value = model(x).sum()
            (slope,) = tn.autograd.grad(value, [x], create_graph=True)
            loss = ((slope * slope).sum(1) - 1).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss, slope.detach()

        return Training(step, [model], [optimizer])

    agree(make, batches_of(50, (8, 12)))


def test_a_last_batch_that_is_smaller():
    batches = batches_of(4, (8, 12), classes=5) + batches_of(1, (3, 12), classes=5)
    agree(classifier(OPTIMIZERS["adamw"], dropout=0.2), batches * 5, plans=2)


def test_parameters_without_a_gradient_stay():
    def make():
        model, unused = Perceptron(), Perceptron()
        optimizer = tn.optim.AdamW([*unused.parameters(), *model.parameters()], lr=1e-2)

        def step(x, labels):
            loss = F.cross_entropy(model(x), labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss

        return Training(step, [model, unused], [optimizer])

    agree(make, batches_of(20, (8, 12), classes=5))


def test_a_recorded_copy_lies_row_by_row(device):
    """As the array's own does, so that a kernel takes it as it would take that."""
    step = tn.compile(lambda x: x.T.contiguous() + 0)
    orders = [step(tn.ones(3, 4, device=device)).is_contiguous() for _ in range(3)]
    assert orders == [True] * 3


def test_a_result_in_the_place_of_an_argument_is_the_same_array(device):
    """Else CuPy takes them for arrays that overlap, and copies the argument first."""
    step = tn.compile(lambda x: ((x + 1).exp() * 2).neg())
    for _ in range(2):
        step(tn.ones(64, device=device))
    calls = [(action.args, action.keywords) for action in step.plan.actions]
    for arguments, keywords in calls[1:]:
        assert arguments[0] is keywords["out"]

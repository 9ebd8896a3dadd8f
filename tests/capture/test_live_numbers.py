"""Learning rates, counts of steps and states that are set between calls hold in the next replay."""

from __future__ import annotations

import pytest

import tinynn as tn
from tests.capture.twice import Training, agree, batches_of, in_bits
from tinynn.nn import functional as F


def training(optimizer="adamw", scheduler=None, groups=False):
    def make():
        model = tn.nn.Sequential(
            tn.nn.Linear(6, 8), tn.nn.Tanh(), tn.nn.Dropout(0.1), tn.nn.Linear(8, 3)
        )
        params = list(model.parameters())
        if groups:
            params = [{"params": params[:1], "lr": 0.01}, {"params": params[1:]}]
        optimizers = {
            "adamw": lambda: tn.optim.AdamW(params, lr=1e-2),
            "sgd": lambda: tn.optim.SGD(params, lr=1e-1),
            "momentum": lambda: tn.optim.SGD(params, lr=1e-1, momentum=0.9, nesterov=True),
        }
        chosen = optimizers[optimizer]()
        schedulers = [] if scheduler is None else [scheduler(chosen)]

        def step(x, labels):
            loss = F.cross_entropy(model(x), labels)
            loss.backward()
            chosen.step()
            for one in schedulers:
                one.step()
            chosen.zero_grad()
            return loss

        return Training(step, [model], [chosen], schedulers)

    return make


def some(count):
    return batches_of(count, (5, 6), classes=3)


KINDS = pytest.mark.parametrize("kind", ["adamw", "sgd", "momentum"])


@KINDS
@pytest.mark.parametrize("groups", [False, True])
def test_learning_rates_set_between_calls(kind, groups):
    def between(number, training):
        for group in training.optimizers[0].param_groups:
            group["lr"] *= 1 + 0.1 * (number % 3)

    agree(training(kind, groups=groups), some(20), between)


SCHEDULERS = {
    "StepLR": lambda o: tn.optim.lr_scheduler.StepLR(o, 3, 0.5),
    "LambdaLR": lambda o: tn.optim.lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
    "CosineAnnealingLR": lambda o: tn.optim.lr_scheduler.CosineAnnealingLR(o, 10),
    "OneCycleLR": lambda o: tn.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=50),
    "SequentialLR": lambda o: tn.optim.lr_scheduler.SequentialLR(
        o,
        [
            tn.optim.lr_scheduler.LinearLR(o, 0.1, total_iters=5),
            tn.optim.lr_scheduler.ExponentialLR(o, 0.9),
        ],
        [5],
    ),
}


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("groups", [False, True])
def test_schedulers_within_the_step(name, groups):
    agree(training(scheduler=SCHEDULERS[name], groups=groups), some(30))


def test_a_scheduler_before_the_optimizer():
    def make():
        weight = tn.ones(3, requires_grad=True)
        optimizer = tn.optim.SGD([weight], lr=1.0)
        scheduler = tn.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)

        def step(x):
            (weight * x).sum().backward()
            scheduler.step()
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            return weight.detach().clone()

        return Training(step, [], [optimizer], [scheduler])

    agree(make, batches_of(10, (3,)))


@KINDS
def test_other_options_set_between_calls(kind):
    def between(number, training):
        if number in (5, 10):
            training.optimizers[0].param_groups[0]["weight_decay"] = 0.01 * number

    agree(training(kind), some(15), between, plans=3)


@KINDS
def test_states_are_saved_and_loaded_between_calls(kind, tmp_path):
    def between(number, training):
        (model,), (optimizer,) = training.models, training.optimizers
        path = tmp_path / f"{id(training)}.tensors"
        if number == 4:
            tn.save(model.state_dict(), path)
            kept[id(training)] = copied(optimizer.state_dict())
        elif number == 9:
            model.load_state_dict(tn.load(path))
            optimizer.load_state_dict(kept[id(training)])

    kept = {}
    agree(training(kind), some(15), between, plans=None)


def copied(value):
    if isinstance(value, tn.Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return list(value) if isinstance(value, list) else value


@KINDS
def test_the_model_goes_to_another_dtype(kind):
    def make():
        made = training(kind)()
        (model,), (optimizer,) = made.models, made.optimizers

        def step(x, labels):
            loss = F.cross_entropy(model(x.to(model[0].weight.dtype)), labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss

        return Training(step, [model], [optimizer])

    def between(number, training):
        if number in (4, 8):
            training.models[0].to(tn.float64 if number == 4 else tn.float32)

    # After each move the first step also lays the parameters out; what follows replays another.
    agree(make, some(12), between, plans=5)


@KINDS
def test_parameters_are_added(kind):
    def make():
        made = training(kind)()
        model = made.models[0]
        bias = tn.zeros(3, requires_grad=True)
        rest = tn.nn.Module()
        rest.bias = tn.nn.Parameter(tn.zeros(3))

        def step(x, labels):
            loss = F.cross_entropy(model(x) + rest.bias, labels)
            loss.backward()
            made.optimizers[0].step()
            made.optimizers[0].zero_grad()
            rest.bias.grad = None
            return loss

        del bias
        return Training(step, [model, rest], made.optimizers)

    def between(number, training):
        if number == 5:
            training.optimizers[0].add_param_group({"params": [training.models[1].bias], "lr": 0.5})

    agree(make, some(12), between, plans=2)


@KINDS
def test_parameters_are_written_between_calls(kind):
    def between(number, training):
        with tn.no_grad():
            for parameter in training.models[0].parameters():
                parameter.mul_(0.9)
        if number == 5:
            training.models[0][0].weight.data = training.models[0][0].weight.data * 2

    agree(training(kind), some(12), between, plans=None)


def test_a_second_optimizer_takes_over():
    def between(number, training):
        if number == 5:
            other = tn.optim.AdamW(reversed(list(training.models[0].parameters())), lr=0.1)
            loss = training.models[0](tn.ones(1, 6)).sum()
            loss.backward()
            other.step()
            other.zero_grad()

    agree(training("momentum"), some(12), between, plans=None)


def test_eager_and_replayed_steps_by_turns():
    def between(number, training):
        training.step(*map(tn.tensor, some(1)[0]))

    agree(training("adamw", SCHEDULERS["OneCycleLR"]), some(20), between)


def test_counts_of_steps_are_those_of_eager():
    made = training("adamw")()
    step = tn.compile(made.step)
    for number, batch in enumerate(some(10)):
        step(*map(tn.tensor, batch))
        steps = [state["step"] for state in made.optimizers[0].state.values()]
        assert steps == [number + 1] * 4


def test_a_rate_of_zero():
    def between(number, training):
        training.optimizers[0].param_groups[0]["lr"] = (0.0, 0.1)[number % 2]

    agree(training("sgd"), some(6), between)
    made = training("sgd")()
    step, (batch,) = tn.compile(made.step), some(1)
    made.optimizers[0].param_groups[0]["lr"] = 0.0
    before = in_bits([p.clone() for p in made.models[0].parameters()])
    for _ in range(3):
        step(*map(tn.tensor, batch))
    assert in_bits(list(made.models[0].parameters())) == before

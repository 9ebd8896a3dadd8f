"""Random numbers in a replayed step go on as they do without a plan, and follow the seed."""

from __future__ import annotations

import numpy as np
import pytest

import tinynn as tn
from tests.capture.twice import Training, agree, batches_of, bits
from tinynn.capture import CaptureError
from tinynn.nn import functional as F


def dropouts():
    model = tn.nn.Sequential(tn.nn.Dropout(0.3), tn.nn.Linear(6, 6), tn.nn.Dropout(0.5))

    def step(x):
        return model(x).detach(), model[0](x), F.dropout(x, 0.5), F.dropout(x, 0.2)

    return Training(step, [model])


def drawn():
    def step(x):
        return (
            x + tn.rand(4, 6),
            x * tn.randn(6),
            x + tn.randint(-5, 9, (4, 1)),
            x[:, tn.randperm(6)],
            tn.rand(2),
            x + tn.randn_like(x) + tn.rand_like(x, dtype=tn.float64),
        )

    return Training(step)


def drawn_in_turn():
    """Numbers of the host and of dropouts in one step, and none in a second plan."""
    layer = tn.nn.Dropout(0.5)

    def step(x):
        x = layer(x + tn.rand(6))
        x = F.dropout(x, 0.1) * tn.randn(1)
        return layer(x)

    return Training(step, [layer])


MAKERS = [dropouts, drawn, drawn_in_turn]


@pytest.mark.parametrize("make", MAKERS)
def test_numbers_go_on(make):
    agree(make, batches_of(50, (4, 6)))


@pytest.mark.parametrize("make", MAKERS)
def test_numbers_are_new_each_time(make):
    training = make()
    step, x = tn.compile(training.step), tn.ones(4, 6)
    results = [step(x) for _ in range(5)]
    texts = {str(bits((r if isinstance(r, tn.Tensor) else r[0]).data)) for r in results}
    assert len(texts) == 5


@pytest.mark.parametrize("make", MAKERS)
def test_a_seed_set_between_calls(make):
    def between(number, training):
        if number in (3, 4, 9):
            tn.manual_seed(number)

    agree(make, batches_of(15, (4, 6)), between, plans=None)


def test_a_seed_set_back_gives_the_numbers_of_then():
    step, x = tn.compile(lambda x: (F.dropout(x, 0.5), tn.rand(3))), tn.ones(100)
    runs = []
    for _ in range(3):
        tn.manual_seed(11)
        runs.append([[bits(t.data) for t in step(x)] for _ in range(3)])
    assert runs[0] == runs[1] == runs[2]


@pytest.mark.parametrize("make", MAKERS)
def test_numbers_drawn_elsewhere_between_calls(make):
    def between(number, training):
        tn.rand(number)
        F.dropout(tn.ones(2), 0.5)
        training.step(tn.ones(4, 6))  # as it is, not replayed

    agree(make, batches_of(10, (4, 6)), between)


def test_dropout_off_and_on_again():
    def between(number, training):
        training.models[0].train(number % 4 < 2)

    agree(dropouts, batches_of(16, (4, 6)), between, plans=2)


def test_dropout_goes_on_where_its_state_says():
    states = {}

    def between(number, training):
        model = training.models[0]
        if number == 5:
            states[id(training)] = {k: v.clone() for k, v in model.state_dict().items()}
        elif number == 8:
            model.load_state_dict(states[id(training)])

    agree(dropouts, batches_of(12, (4, 6)), between, plans=None)


def test_masks_are_drawn_anew_also_backward():
    def make():
        layer = tn.nn.Dropout(0.5)

        def step(x):
            x = x.detach().requires_grad_()
            loss = (layer(x) * x).sum()
            loss.backward()
            return x.grad, loss

        return Training(step, [layer])

    agree(make, batches_of(20, (4, 6)))


def test_numpy_is_asked_once():
    """Its generators are unseen by a recorder: what they gave is a constant of the plan."""
    random = np.random.default_rng(0)
    step = tn.compile(lambda x: x + tn.tensor(random.random(3).astype(np.float32)))
    x = tn.zeros(3)
    assert bits(step(x).data) == bits(step(x).data)
    assert len(step.plans) == 1


def test_the_truth_of_a_drawn_number_is_refused():
    """It would be asked again at each call, and draw a number each time."""
    step = tn.compile(lambda x: x if tn.rand(1).data else -x)
    with pytest.raises(CaptureError, match="while a step is recorded"):
        step(tn.ones(2))

"""An error in the middle of a replay leaves parameters and counts as they were."""

from __future__ import annotations

import numpy as np
import pytest

import tinynn as tn
from tests.capture.twice import Training, in_bits
from tinynn.nn import functional as F


def training(optimizers=1, scheduler=None):
    tn.manual_seed(0)
    layers = [tn.nn.Linear(4, 4) for _ in range(optimizers)]
    model = tn.nn.Sequential(tn.nn.Embedding(7, 4), *layers)
    made = [tn.optim.AdamW(layer.parameters(), lr=0.1) for layer in layers]
    schedulers = [] if scheduler is None else [tn.optim.lr_scheduler.StepLR(made[0], 2, 0.5)]

    def step(tokens, labels):
        loss = F.cross_entropy(model(tokens), labels)
        loss.backward()
        for number, optimizer in enumerate(made):
            if scheduler == number:
                schedulers[0].step()
            optimizer.step()
        if scheduler is not None and scheduler >= optimizers:
            schedulers[0].step()
        for optimizer in made:
            optimizer.zero_grad()
        model[0].weight.grad = None
        return loss

    return Training(step, [model], made, schedulers)


def arguments(tokens=(0, 1, 6), labels=(0, 3, 1)):
    return tn.tensor(list(tokens)), tn.tensor(list(labels))


@pytest.mark.parametrize("optimizers", [1, 2, 3])
@pytest.mark.parametrize("scheduler", [None, 0, 1, 2])
@pytest.mark.parametrize(
    "bad", [{"labels": (0, 4, 1)}, {"tokens": (0, 7, 1)}, {"tokens": (0, 1, -8)}]
)
def test_values_out_of_range(optimizers, scheduler, bad):
    made, other = training(optimizers, scheduler), training(optimizers, scheduler)
    step = tn.compile(made.step, fuse=False)
    for _ in range(3):
        assert in_bits(step(*arguments())) == in_bits(other.step(*arguments()))
    before = in_bits(made.state())
    with pytest.raises(IndexError) as expected:
        other.step(*arguments(**bad))
    for _ in range(2):
        with pytest.raises(IndexError) as caught:
            step(*arguments(**bad))
        assert str(caught.value) == str(expected.value)
        assert in_bits(made.state()) == before
    for _ in range(3):
        assert in_bits(step(*arguments())) == in_bits(other.step(*arguments()))
    assert in_bits(made.state()) == in_bits(other.state())
    assert len(step.plans) == 1


def test_values_out_of_range_when_recorded():
    made = training(2, 0)
    step = tn.compile(made.step)
    before = in_bits(made.state())
    with pytest.raises(IndexError):
        step(*arguments(labels=(0, 4, 1)))
    assert in_bits(made.state()) == before
    assert step.plans == []


def test_large_labels():
    """Above 4 kB they are read where the caller has them."""
    random = np.random.default_rng(0)
    x = tn.Tensor(random.standard_normal((3000, 5)).astype(np.float32))
    labels = random.integers(0, 5, 3000)
    step = tn.compile(F.cross_entropy)
    for _ in range(2):
        labels = random.permutation(labels)
        assert in_bits(step(x, tn.tensor(labels))) == in_bits(F.cross_entropy(x, tn.tensor(labels)))
    labels[2345] = 5
    with pytest.raises(IndexError, match="2345"):
        step(x, tn.tensor(labels))
    labels[2345] = 0
    assert in_bits(step(x, tn.tensor(labels))) == in_bits(F.cross_entropy(x, tn.tensor(labels)))

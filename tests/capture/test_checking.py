"""check_every runs the function itself now and then, and tells where a replay differs."""

from __future__ import annotations

import numpy as np
import pytest

import tinynn as tn
from tests.capture.twice import Training, agree, batches_of
from tinynn.capture import CaptureError
from tinynn.nn import functional as F


def honest():
    model = tn.nn.Sequential(
        tn.nn.Linear(6, 8), tn.nn.ReLU(), tn.nn.Dropout(0.3), tn.nn.Linear(8, 3)
    )
    optimizer = tn.optim.AdamW(model.parameters(), lr=0.01)
    scheduler = tn.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20)

    def step(x, labels):
        x += 0.1 * tn.randn(6)
        loss = F.cross_entropy(model(F.dropout(x, 0.1)), labels)
        loss.backward()
        tn.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        return loss, x

    return Training(step, [model], [optimizer], [scheduler])


@pytest.mark.parametrize("every", [1, 2, 3, 7])
def test_an_honest_step_passes(every):
    """And what is checked leaves the state that the function leaves."""
    step = agree(honest, batches_of(20, (5, 6), classes=3), check_every=every)
    assert step.plan.replays == 19


def test_an_honest_step_with_joined_operations_passes():
    first, last = tn.nn.Linear(6, 8), tn.nn.Linear(8, 1)
    optimizer = tn.optim.SGD([*first.parameters(), *last.parameters()], lr=0.01)

    @tn.compile(check_every=1)
    def step(x):
        loss = last(F.gelu(F.linear(x, first.weight, first.bias))).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    for (x,) in batches_of(5, (5, 6)):
        step(tn.tensor(x))
    assert "linear_activation" in {call.operation for call in step.plan.calls}


def counter_in_numpy():
    count = np.zeros(1, np.float32)

    def step(x):
        count[0] += 1
        return x + tn.tensor(count)

    return step


def counter_in_python():
    class Counter:
        def __init__(self):
            self.count = [0] * 100  # more than is looked through at each call

    counter = Counter()

    def step(x):
        counter.count[0] += 1
        return x * counter.count[0]

    return step


def data_changed():
    weight = tn.ones(3, requires_grad=True)

    def step(x):
        loss = (weight * x).sum()
        loss.backward()
        np.subtract(weight.data, 0.1, out=weight.data)
        weight.grad = None
        return loss

    return step


def numbers_of_numpy():
    random = np.random.default_rng(0)
    return lambda x: x * tn.tensor(random.random(3).astype(np.float32))


def an_iterator():
    numbers = iter(range(1000))
    return lambda x: x * next(numbers)


def data_changed_by_a_last_digit():
    weight = tn.ones(3)

    def step(x):
        np.nextafter(weight.data, np.float32(2), out=weight.data)
        return weight * x

    return step


HIDDEN = [
    *(counter_in_numpy, counter_in_python, data_changed, data_changed_by_a_last_digit),
    *(numbers_of_numpy, an_iterator),
]


@pytest.mark.parametrize("make", HIDDEN)
@pytest.mark.parametrize("every", [1, 3])
def test_what_a_recorder_cannot_see_is_caught(make, every):
    step = tn.compile(make(), check_every=every)
    x = tn.ones(3)
    for _ in range(every - 1):
        step(x)  # the first is recorded, the others are replayed and not checked
    if every == 1:
        step(x)
    with pytest.raises(CaptureError, match=r"the replay differs from the function: .* by up to"):
        step(x)


def test_the_state_after_a_difference_is_that_of_the_function():
    weight, count = tn.ones(3), [0] * 100

    def function(x):
        count[0] += 1
        weight.add_(x * count[0])
        return weight.sum()

    step = tn.compile(function, check_every=2)
    step(tn.ones(3))
    with pytest.raises(CaptureError, match="the replay differs"):
        step(tn.ones(3))
    assert weight.tolist() == [4.0] * 3  # 1 + 1 + 2


def test_an_error_of_the_function_is_its_own():
    step = tn.compile(lambda x, y: F.cross_entropy(x, y), check_every=1)
    x = tn.ones(2, 3)
    step(x, tn.tensor([0, 1]))
    with pytest.raises(IndexError):
        step(x, tn.tensor([0, 3]))
    assert step(x, tn.tensor([0, 1])).item() == F.cross_entropy(x, tn.tensor([0, 1])).item()


def test_numbers_that_are_not_numbers_are_equal():
    step = tn.compile(lambda x: x.log(), check_every=1)
    x = tn.tensor([-1.0, 0.0, 1.0, float("inf"), float("nan")])
    for _ in range(3):
        np.testing.assert_array_equal(step(x).data, x.log().data)


def test_integers_are_compared_exactly():
    big = [0] * 100

    def function(x):
        big[0] += 1
        return x + big[0]

    step = tn.compile(function, check_every=2)
    x = tn.tensor([2**60])
    step(x)
    with pytest.raises(CaptureError, match="a result"):
        step(x)

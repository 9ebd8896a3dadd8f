"""The learning-rate range test: what it tries, suggests, and puts back."""

import math

import numpy as np
import pytest

import tinynn as tn
from tests.arrays import host
from tinynn import nn
from tinynn.optim.lr_finder import smooth, steepest


def problem(seed=0, dropout=0.0):
    """Three clouds of points to be told apart, a model and an optimizer that has begun."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, 120)
    points = random.standard_normal((120, 2)) + 3 * np.eye(3)[labels][:, :2]
    batches = [
        (tn.tensor(points[i : i + 20].astype(np.float32)), tn.tensor(labels[i : i + 20]))
        for i in range(0, 120, 20)
    ]
    tn.manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 3))
    model.register_buffer("seen", tn.zeros(1))
    model.register_forward_hook(count)
    return model, tn.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), batches


def count(module, args, output):
    with tn.no_grad():
        module.seen += 1


def train(model, optimizer, batches):
    losses = []
    for inputs, labels in batches:
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(inputs), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_rates_grow_evenly_on_a_log_scale():
    model, optimizer, batches = problem()
    result = tn.optim.lr_range_test(
        model, nn.CrossEntropyLoss(), batches, optimizer, start=1e-4, end=1e-2, steps=5
    )
    np.testing.assert_allclose(result.lrs, np.geomspace(1e-4, 1e-2, 5), rtol=1e-12)
    assert len(result.losses) == len(result.smoothed) == 5


def test_the_losses_are_those_of_training_with_these_rates():
    model, optimizer, batches = problem()
    result = tn.optim.lr_range_test(
        model, nn.CrossEntropyLoss(), batches, optimizer, start=1e-3, end=1e-1, steps=6
    )
    expected = []
    for rate, batch in zip(np.geomspace(1e-3, 1e-1, 6), batches, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        expected += train(model, optimizer, [batch])
    np.testing.assert_allclose(result.losses, expected, rtol=1e-6)


@pytest.mark.parametrize("begun", [True, False], ids=["after some steps", "at the beginning"])
def test_training_afterwards_is_training_without(begun):
    """Bit for bit: parameters, momentum, buffers, dropout's random numbers and modes."""
    losses = []
    for tested in (False, True):
        model, optimizer, batches = problem(dropout=0.3)
        if begun:
            train(model, optimizer, batches)
        model[2].eval()
        if tested:
            tn.optim.lr_range_test(model, nn.CrossEntropyLoss(), batches, optimizer, steps=30)
            assert all(p.grad is None for p in model.parameters())
        assert [module.training for module in model] == [True, True, False, True]
        model.train()
        losses.append((train(model, optimizer, batches), model.seen.item()))
    assert losses[0] == losses[1]


def test_it_is_put_back_also_after_an_error():
    model, optimizer, batches = problem()
    before = [host(p) for p in model.parameters()]

    def broken(output, target):
        if model.seen.item() > 3:
            raise ZeroDivisionError
        return nn.CrossEntropyLoss()(output, target)

    with pytest.raises(ZeroDivisionError):
        tn.optim.lr_range_test(model, broken, batches, optimizer, start=0.1)
    assert all((host(p) == b).all() for p, b in zip(model.parameters(), before, strict=True))
    assert optimizer.param_groups[0]["lr"] == 0.05


def test_a_quadratic_whose_losses_are_known():
    """With curvature c an element shrinks by 1 - lr * c a step; c = 10 diverges from lr = 0.2."""
    curvature = np.arange(1.0, 11.0)
    model = nn.Module()
    model.w = nn.Parameter(tn.ones(10, dtype=tn.float64))
    model.forward = lambda c: (c * model.w * model.w).sum() / 2
    optimizer = tn.optim.SGD(model.parameters(), lr=1.0)
    result = tn.optim.lr_range_test(
        model, lambda output, target: output, [(tn.tensor(curvature), None)], optimizer
    )
    rates = np.geomspace(1e-5, 10, 100)
    shrunk = np.cumprod(1 - rates[:, None] * curvature, axis=0)
    losses = (curvature * np.vstack([np.ones(10), shrunk[:-1]]) ** 2).sum(axis=1) / 2
    tried = len(result.lrs)
    np.testing.assert_allclose(result.losses, losses[:tried], rtol=1e-9)
    # It went on past the lowest loss, and stopped at the first one that is four times as high.
    assert losses[tried] > 4 * losses[:tried].min()
    assert rates[tried] > 0.2
    steepest_of_all = rates[np.argmin(np.gradient(losses[:tried]))]
    assert result.suggestion == pytest.approx(steepest_of_all, rel=0.5)
    assert repr(result).startswith("LRRangeTest(tried 1e-05 to ")


def test_the_steepest_descent():
    lrs = np.geomspace(1e-4, 1, 9).tolist()
    losses = [2.0, 2.0, 1.9, 1.8, 1.2, 0.6, 0.5, 0.6, 30.0]
    assert steepest(lrs, losses) == lrs[4]
    assert steepest(lrs, sorted(losses)) is None
    assert steepest([0.1], [1.0]) is None


def test_smoothing_is_a_mean_over_neighbours():
    losses = [float(i % 2) for i in range(40)]
    assert smooth(losses)[10] == pytest.approx(2 / 5)
    assert smooth([1.0, 2.0]) == [1.5, 1.5]


def test_a_source_of_batches_that_runs_out_ends_the_test():
    model, optimizer, batches = problem()
    result = tn.optim.lr_range_test(model, nn.CrossEntropyLoss(), iter(batches), optimizer)
    assert len(result.lrs) == len(batches)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 0.0}, "expected 0 < start < end, got 0.0 and 10.0"),
        ({"start": 20.0}, "expected 0 < start < end"),
        ({"end": math.inf}, "expected 0 < start < end"),
        ({"steps": 1}, "steps must be at least 2, got 1"),
        ({"batches": []}, "there are no batches"),
    ],
)
def test_refusals(options, message):
    model, optimizer, batches = problem()
    arguments = {"batches": batches} | options
    with pytest.raises(ValueError, match=message):
        tn.optim.lr_range_test(model, nn.CrossEntropyLoss(), optimizer=optimizer, **arguments)

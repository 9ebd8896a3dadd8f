"""Schedules: their closed forms, combinations, and going on from a saved state."""

import json
import math

import numpy as np
import pytest

import tinynn as tn
from tests.optim.schedules import BASE, CLOSED_FORMS, linear, make_optimizer, sequence
from tinynn.optim import lr_scheduler


def rates(scheduler, steps):
    """The first group's rates from the beginning to after `steps` steps."""
    result = []
    for _ in range(steps):
        result.append(scheduler.get_last_lr()[0])
        assert scheduler.optimizer.param_groups[0]["lr"] == result[-1]
        scheduler.step()
    return [*result, scheduler.get_last_lr()[0]]


@pytest.mark.parametrize(("name", "options", "factor"), CLOSED_FORMS)
def test_closed_forms(name, options, factor):
    optimizer = make_optimizer(groups=2)
    scheduler = getattr(lr_scheduler, name)(optimizer, **options)
    expected = [BASE * factor(t) for t in range(31)]
    np.testing.assert_allclose(rates(scheduler, 30), expected, rtol=1e-12, atol=1e-15)
    if "eta_min" not in options:
        assert optimizer.param_groups[1]["lr"] == pytest.approx(expected[-1] / 2, abs=1e-15)


def one_cycle(t, total, pct, top=1.0, div=25, final=1e4):
    """With cosine annealing, in two phases."""
    up = pct * total - 1
    start, end = top / div, top / div / final
    if t <= up:
        return start + (top - start) * (1 - math.cos(math.pi * t / up)) / 2
    share = (t - up) / (total - 1 - up)
    return top + (end - top) * (1 - math.cos(math.pi * share)) / 2


def test_one_cycle_closed_form():
    scheduler = lr_scheduler.OneCycleLR(make_optimizer(), 1.0, total_steps=20, pct_start=0.25)
    np.testing.assert_allclose(
        rates(scheduler, 19), [one_cycle(t, 20, 0.25) for t in range(20)], rtol=1e-10
    )


def test_one_cycle_moves_momentum_the_other_way():
    optimizer = make_optimizer()
    scheduler = lr_scheduler.OneCycleLR(
        optimizer, max_lr=2.0, epochs=2, steps_per_epoch=10, anneal_strategy="linear"
    )
    seen = []
    for _ in range(20):
        seen.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
        scheduler.step()
    assert seen[0] == (pytest.approx(0.08), pytest.approx(0.95))
    assert seen[5] == (pytest.approx(2.0), pytest.approx(0.85))
    assert seen[19] == (pytest.approx(0.08 / 1e4), pytest.approx(0.95))
    with pytest.raises(ValueError, match="step 21 is beyond the cycle of 20 steps"):
        scheduler.step()


def test_one_cycle_sets_the_first_beta_of_adamw():
    optimizer = make_optimizer("AdamW", betas=(0.5, 0.7))
    lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10, max_momentum=0.9)
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.7)
    lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10, cycle_momentum=False)
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.7)


@pytest.mark.parametrize("pct_start", [0.0, 0.1, 1.0])
def test_one_cycle_with_an_empty_phase(pct_start):
    scheduler = lr_scheduler.OneCycleLR(make_optimizer(), 1.0, total_steps=10, pct_start=pct_start)
    assert all(0 < rate <= 1 for rate in rates(scheduler, 10))


PLATEAU = [3.0, 2.0, 2.5, 2.1, 2.0, 1.9999, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, math.nan, 0.5]


def plateau_by_hand(metrics, factor, patience, cooldown, threshold, lowest):
    """The rates after each metric; lower is better, the threshold relative."""
    rate, best, bad, cool, result = BASE, math.inf, 0, 0, []
    for metric in metrics:
        if metric < best * (1 - threshold):
            best, bad = metric, 0
        else:
            bad += 1
        if cool:
            cool, bad = cool - 1, 0
        if bad > patience:
            rate, cool, bad = max(rate * factor, lowest), cooldown, 0
        result.append(rate)
    return result


@pytest.mark.parametrize("patience", [0, 2])
@pytest.mark.parametrize("cooldown", [0, 3])
def test_plateau(patience, cooldown):
    options = {"factor": 0.5, "patience": patience, "cooldown": cooldown, "threshold": 1e-3}
    scheduler = lr_scheduler.ReduceLROnPlateau(make_optimizer(), min_lr=0.05, **options)
    seen = []
    for metric in PLATEAU:
        scheduler.step(metric)
        seen += scheduler.get_last_lr()
    assert seen == plateau_by_hand(PLATEAU, lowest=0.05, **options)


@pytest.mark.parametrize(
    ("options", "metrics", "better"),
    [
        ({"mode": "min", "threshold": 0.1}, [1.0, 0.95, 0.89], [True, False, True]),
        ({"mode": "max", "threshold": 0.1}, [1.0, 1.05, 1.11], [True, False, True]),
        ({"mode": "min", "threshold": 0.1, "threshold_mode": "abs"}, [5.0, 4.95, 4.85], [1, 0, 1]),
        ({"mode": "max", "threshold": 0.1, "threshold_mode": "abs"}, [5.0, 5.05, 5.15], [1, 0, 1]),
        ({"mode": "min", "threshold": 0.1}, [-1.0, -1.05, -1.11], [True, False, True]),
    ],
)
def test_what_counts_as_better(options, metrics, better):
    scheduler = lr_scheduler.ReduceLROnPlateau(make_optimizer(), **options)
    for metric, expected in zip(metrics, better, strict=True):
        scheduler.step(tn.tensor(metric, dtype=tn.float64))
        assert (scheduler.num_bad_epochs == 0) is bool(expected)


def test_schedules_on_one_optimizer_multiply():
    optimizer = make_optimizer()
    warmup = lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=4)
    decay = lr_scheduler.ExponentialLR(optimizer, gamma=0.8)
    seen = []
    for _ in range(10):
        seen.append(optimizer.param_groups[0]["lr"])
        warmup.step()
        decay.step()
    expected = [BASE * linear(t, 0.5, 1, 4) * 0.8**t for t in range(10)]
    np.testing.assert_allclose(seen, expected, rtol=1e-12)


def test_a_rate_changed_by_hand_stays_changed():
    optimizer = make_optimizer()
    scheduler = lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    optimizer.param_groups[0]["lr"] = 100.0
    scheduler.step()
    assert scheduler.get_last_lr() == [50.0]


def test_one_schedule_after_another():
    def expected(t):
        if t < 4:
            return BASE * linear(t, 0.1, 1, 4)
        if t < 12:
            return 0.01 + (BASE - 0.01) * (1 + math.cos(math.pi * (t - 4) / 10)) / 2
        return BASE * 0.1 ** ((t - 12) // 2)

    seen = rates(sequence(make_optimizer()), 20)
    np.testing.assert_allclose(seen, [expected(t) for t in range(21)], rtol=1e-12)


def test_sequences_of_sequences():
    optimizer = make_optimizer()
    inner = lr_scheduler.SequentialLR(
        optimizer,
        [lr_scheduler.ConstantLR(optimizer, 0.5, 100), lr_scheduler.ConstantLR(optimizer, 1.0, 0)],
        milestones=[2],
    )
    outer = lr_scheduler.SequentialLR(
        optimizer, [lr_scheduler.ConstantLR(optimizer, 0.1, 100), inner], milestones=[3]
    )
    expected = [0.1] * 3 + [0.5] * 2 + [1.0] * 3
    np.testing.assert_allclose(rates(outer, 7), [BASE * factor for factor in expected])


SAVED = [
    *[(name, options) for name, options, _ in CLOSED_FORMS],
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 20, "three_phase": True}),
]


@pytest.mark.parametrize(("name", "options"), [*SAVED, ("sequence", None)])
@pytest.mark.parametrize("steps", [0, 5, 13])
def test_going_on_from_a_saved_state_is_going_on(name, options, steps):
    """Exactly, through JSON, and whichever of optimizer and scheduler is loaded first."""

    def make(optimizer):
        if name == "sequence":
            return sequence(optimizer)
        return getattr(lr_scheduler, name)(optimizer, **options)

    scheduler = make(make_optimizer())
    rates(scheduler, steps)
    state = json.loads(json.dumps(scheduler.state_dict()))
    twin = make(make_optimizer())
    twin.load_state_dict(state)
    assert rates(twin, 6) == rates(scheduler, 6)
    groups = twin.optimizer.param_groups[0], scheduler.optimizer.param_groups[0]
    assert groups[0]["momentum"] == groups[1]["momentum"]


def test_a_plateau_goes_on_from_a_saved_state():
    one, twin = (
        lr_scheduler.ReduceLROnPlateau(make_optimizer(), factor=0.5, patience=1) for _ in range(2)
    )
    for metric in (1.0, 1.0, 1.0):
        one.step(metric)
    twin.load_state_dict(json.loads(json.dumps(one.state_dict())))
    for metric in (1.0, 1.0, 0.5, 1.0):
        one.step(metric)
        twin.step(metric)
        assert twin.get_last_lr() == one.get_last_lr()


def test_states_of_others_are_refused():
    scheduler = lr_scheduler.ExponentialLR(make_optimizer(), gamma=0.5)
    step = lr_scheduler.StepLR(make_optimizer(), 3)
    with pytest.raises(
        ValueError, match=r"ExponentialLR\.load_state_dict: the state has step_size"
    ):
        scheduler.load_state_dict(step.state_dict())
    other = lr_scheduler.ExponentialLR(make_optimizer(groups=2), gamma=0.5)
    with pytest.raises(ValueError, match="for 2 parameter groups, the optimizer has 1"):
        scheduler.load_state_dict(other.state_dict())
    assert scheduler.base_lrs == [BASE]


def test_last_epoch_goes_on_with_an_optimizer_that_was_loaded():
    optimizer = make_optimizer()
    with pytest.raises(KeyError, match="group 0 has no 'initial_lr'"):
        lr_scheduler.ExponentialLR(optimizer, gamma=0.5, last_epoch=3)
    first = lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    for _ in range(3):
        first.step()
    second = lr_scheduler.ExponentialLR(optimizer, gamma=0.5, last_epoch=3)
    assert second.get_last_lr() == [BASE / 16]


@pytest.mark.parametrize(
    ("error", "message", "make"),
    [
        (TypeError, "must be an Optimizer, got list", lambda o: lr_scheduler.StepLR([], 1)),
        (ValueError, "step_size must be at least 1", lambda o: lr_scheduler.StepLR(o, 0)),
        (ValueError, "T_max must be positive", lambda o: lr_scheduler.CosineAnnealingLR(o, 0)),
        (ValueError, r"start_factor must be in \(0, 1\]", lambda o: lr_scheduler.LinearLR(o, 0)),
        (ValueError, r"end_factor must be in", lambda o: lr_scheduler.LinearLR(o, 1, 2)),
        (ValueError, "factor must be in", lambda o: lr_scheduler.ConstantLR(o, 2)),
        (ValueError, "for each of 1 ", lambda o: lr_scheduler.LambdaLR(o, [abs, abs])),
        (ValueError, "give total_steps, or", lambda o: lr_scheduler.OneCycleLR(o, 1.0, epochs=2)),
        (ValueError, "at least one step", lambda o: lr_scheduler.OneCycleLR(o, 1.0, 0)),
        (
            ValueError,
            "pct_start must be",
            lambda o: lr_scheduler.OneCycleLR(o, 1.0, 5, pct_start=2),
        ),
        (
            ValueError,
            "'cos' or 'linear', got 'up'",
            lambda o: lr_scheduler.OneCycleLR(o, 1.0, 5, anneal_strategy="up"),
        ),
        (ValueError, "one max_lr for each of 1", lambda o: lr_scheduler.OneCycleLR(o, [1, 2], 5)),
        (
            ValueError,
            "factor must be below 1",
            lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=1.0),
        ),
        (ValueError, "mode must be", lambda o: lr_scheduler.ReduceLROnPlateau(o, "low")),
        (
            ValueError,
            "threshold_mode must be",
            lambda o: lr_scheduler.ReduceLROnPlateau(o, threshold_mode="x"),
        ),
        (
            ValueError,
            "one min_lr for each of 1",
            lambda o: lr_scheduler.ReduceLROnPlateau(o, min_lr=[1, 2]),
        ),
        (ValueError, "at least one scheduler", lambda o: lr_scheduler.SequentialLR(o, [], [])),
        (
            ValueError,
            "2 schedulers need 1 milestones, got 0",
            lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(o, 1)] * 2, []),
        ),
        (
            ValueError,
            "milestones must increase",
            lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(o, 1)] * 3, [2, 2]),
        ),
        (
            ValueError,
            "scheduler 0 belongs to another optimizer",
            lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(make_optimizer(), 1)], []),
        ),
        (
            TypeError,
            "ReduceLROnPlateau needs a metric",
            lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.ReduceLROnPlateau(o)], []),
        ),
    ],
)
def test_refusals(error, message, make):
    with pytest.raises(error, match=message):
        make(make_optimizer())

"""Schedules against torch's."""

import numpy as np
import pytest

from tests.optim.schedules import BASE, CLOSED_FORMS, make_optimizer, sequence
from tinynn.optim import lr_scheduler


def pair(torch, groups=2, **options):
    ours = make_optimizer(groups=groups, **options)
    params = [
        {"params": [torch.nn.Parameter(torch.zeros(1))], "lr": BASE / (n + 1)}
        for n in range(groups)
    ]
    return ours, torch.optim.SGD(params, **options)


def compare(ours, theirs, steps, *arguments):
    for step in range(steps):
        groups = zip(ours.optimizer.param_groups, theirs.optimizer.param_groups, strict=True)
        for mine, yours in groups:
            assert mine["lr"] == pytest.approx(yours["lr"], rel=1e-9, abs=1e-12)
            assert mine["momentum"] == pytest.approx(yours["momentum"], rel=1e-9)
        theirs.optimizer.step()
        each = [values[step] for values in arguments]
        ours.step(*each)
        theirs.step(*each)
        assert ours.last_epoch == theirs.last_epoch


@pytest.mark.parametrize(
    ("name", "options"),
    [
        # torch divides by a factor of zero
        *[(name, options) for name, options, _ in CLOSED_FORMS if options.get("factor") != 0],
        ("OneCycleLR", {"max_lr": 1.0, "total_steps": 30}),
        ("OneCycleLR", {"max_lr": [1.0, 2.0], "total_steps": 30, "three_phase": True}),
        ("OneCycleLR", {"max_lr": 1.0, "total_steps": 30, "anneal_strategy": "linear"}),
    ],
)
def test_rates_of_torch(name, options):
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch, momentum=0.9)
    compare(
        getattr(lr_scheduler, name)(ours, **options),
        getattr(torch.optim.lr_scheduler, name)(theirs, **options),
        29,
    )


@pytest.mark.filterwarnings("ignore:The epoch parameter")
def test_sequences_of_torch():
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch)
    schedulers = torch.optim.lr_scheduler
    parts = [
        schedulers.LinearLR(theirs, start_factor=0.1, total_iters=4),
        schedulers.CosineAnnealingLR(theirs, T_max=10, eta_min=0.01),
        schedulers.StepLR(theirs, step_size=2, gamma=0.1),
    ]
    compare(sequence(ours), schedulers.SequentialLR(theirs, parts, milestones=[4, 12]), 20)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_plateaus_of_torch(mode, threshold_mode):
    torch = pytest.importorskip("torch")
    ours, theirs = pair(torch)
    options = {
        "mode": mode,
        "threshold_mode": threshold_mode,
        "patience": 2,
        "cooldown": 1,
        "threshold": 0.05,
        "factor": 0.5,
    }
    metrics = np.random.default_rng(0).uniform(1, 2, 40).round(2).tolist()
    compare(
        lr_scheduler.ReduceLROnPlateau(ours, **options),
        torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options),
        40,
        metrics,
    )

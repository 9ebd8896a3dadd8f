"""Schedules with their closed forms, for the tests of schedulers."""

import math

import tinynn as tn
from tinynn import nn
from tinynn.optim import lr_scheduler

BASE = 0.4


def make_optimizer(kind="SGD", groups=1, **options):
    params = [{"params": [nn.Parameter(tn.zeros(1))]} for _ in range(groups)]
    for number, group in enumerate(params):
        group["lr"] = BASE / (number + 1)
    return getattr(tn.optim, kind)(params, **options)


def linear(t, start, end, steps):
    return start + (end - start) * min(t, steps) / steps


# (name, options, the rate at t as a multiple of the base rate).
CLOSED_FORMS = [
    ("StepLR", {"step_size": 3, "gamma": 0.5}, lambda t: 0.5 ** (t // 3)),
    (
        "MultiStepLR",
        {"milestones": [8, 2, 2], "gamma": 0.3},
        lambda t: 0.3 ** (2 * (t >= 2) + (t >= 8)),
    ),
    ("ExponentialLR", {"gamma": 0.9}, lambda t: 0.9**t),
    ("CosineAnnealingLR", {"T_max": 7}, lambda t: (1 + math.cos(math.pi * t / 7)) / 2),
    (
        "CosineAnnealingLR",
        {"T_max": 12, "eta_min": BASE / 10},
        lambda t: 0.1 + 0.9 * (1 + math.cos(math.pi * t / 12)) / 2,
    ),
    ("LinearLR", {}, lambda t: linear(t, 1 / 3, 1, 5)),
    (
        "LinearLR",
        {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 10},
        lambda t: linear(t, 1, 0, 10),
    ),
    ("ConstantLR", {"factor": 0.25, "total_iters": 4}, lambda t: 0.25 if t < 4 else 1),
    ("ConstantLR", {"factor": 0.0, "total_iters": 4}, lambda t: 0.0 if t < 4 else 1),
    ("LambdaLR", {"lr_lambda": lambda t: 1 / (1 + t)}, lambda t: 1 / (1 + t)),
]


def sequence(optimizer):
    parts = [
        lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=4),
        lr_scheduler.CosineAnnealingLR(optimizer, T_max=10, eta_min=0.01),
        lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.1),
    ]
    return lr_scheduler.SequentialLR(optimizer, parts, milestones=[4, 12])

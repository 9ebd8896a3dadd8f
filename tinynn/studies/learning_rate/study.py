"""The study `learning-rate`: its question, how much is run, and all of its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from tinynn.autograd import Tensor
from tinynn.backend.timing import compare
from tinynn.nn import CrossEntropyLoss
from tinynn.optim import lr_range_test
from tinynn.studies.learning_rate.descent import Crossing, Descent, descend, walk_across
from tinynn.studies.learning_rate.figures import draw
from tinynn.studies.learning_rate.findings import answer, ran, seen, why
from tinynn.studies.learning_rate.runs import SCHEDULES, Run, train_run
from tinynn.studies.shared.study import Study
from tinynn.studies.shared.training import load_digits, new_network, training_step
from tinynn.studies.shared.workers import Workers
from tinynn.training.recipe import Recipe

__all__ = ["STUDY", "Settings"]

QUESTION = """
To be done sooner, somebody sets the learning rate to `1`: each step is longer, so fewer of them
should do. But training goes on long and without much gain, and the accuracies of training and
validation move up and down (`56%`, `59%`, `56%`). Why? Which rate would have been the quickest, how
would one have known it before, and do schedules, a warm-up, other batches, momentum or other
initial values make rate `1` possible?
"""


@dataclass(frozen=True)
class Settings:
    """How much is run.

    Arguments:
        limit: images to train on; None is all.
        epochs: of every training.
        seeds: trainings of each kind, with other initial values and orders.
        case: the rate that the question is about.
        rates: those to compare it with, at a batch size of 64 and without a schedule.
        batch_sizes: to try with the case's rate.
        scheduled_rates: the rates that schedules begin with; all of them at the first, those
            that begin low or fall soon at the others.
        targets: validation accuracies; when does each rate reach them?
        range_steps: of the learning-rate range test.
        descent_rates: of gradient descent on all of `descent_images` at once.
        descent_every: steps between two looks at the curvature.
        products: rate times eigenvalue, for the walk along a single direction.
    """

    limit: int | None = None
    epochs: int = 6
    seeds: int = 3
    case: float = 1.0
    rates: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 0.7, 1.0)
    batch_sizes: tuple[int, ...] = (16, 128, 256, 512, 1024)
    scheduled_rates: tuple[float, ...] = (0.5, 1.0)
    targets: tuple[float, ...] = (0.95, 0.97)
    range_steps: int = 100
    descent_images: int = 2000
    descent_steps: int = 400
    descent_every: int = 8
    descent_rates: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4, 1.0)
    products: tuple[float, ...] = (0.5, 1.5, 1.9, 2.1)


QUICK = Settings(
    limit=6000,
    epochs=3,
    seeds=1,
    rates=(0.01, 0.1, 0.5, 1.0),
    batch_sizes=(256,),
    scheduled_rates=(0.5,),
    targets=(0.85, 0.9),
    descent_images=500,
    descent_steps=120,
    descent_rates=(0.1, 0.4),
)
# Where the curvature has grown, and training has far to go yet.
WALK_AFTER, WALK_STEPS = 60, 12
# Schedules that begin with less than the whole rate, or leave it soon; and none, to compare with.
GENTLE = ("none", "cosine", "onecycle", "warm-up", "warm-up, cosine")


def measure(settings: Settings, seed: int, workers: Workers) -> dict[str, Any]:
    found = range_test(settings, seed, workers)
    named = [
        *runs_by_rate(settings, seed, found["suggestion"]),
        *runs_of_the_case(settings, seed),
        *runs_by_schedule(settings, seed),
    ]
    slowest = min(settings.descent_rates)
    looks = [
        *(gradient_descent(settings, seed, rate) for rate in settings.descent_rates),
        *(gradient_descent(settings, seed, slowest, units) for units in ("tanh", "sigmoid")),
    ]
    trained = gradient_descent(settings, seed, slowest)._replace(steps=WALK_AFTER)
    crossing = Crossing(trained, settings.products, WALK_STEPS)
    descents = workers.map("gradient descent and its curvature", descend, looks)
    (walk,) = workers.map("steps along one direction", walk_across, [crossing])
    return {
        "range_test": found,
        "descents": descents,
        "walk": walk,
        "runs": train_all(named, workers),
        "step_seconds": step_seconds(settings, seed, workers),
        "images": len(load_digits(workers.place, seed, settings.limit).train),
        "validation_images": len(load_digits(workers.place, seed).validation),
    }


class Named(NamedTuple):
    """What a training belongs to, what is special about it, and the training."""

    group: str
    label: str
    run: Run


def train_all(named: list[Named], workers: Workers) -> list[dict[str, Any]]:
    """Trains each network once, those with small batches first, because they take longest."""
    runs = sorted({item.run for item in named}, key=lambda run: (run.recipe.batch_size, str(run)))
    done = dict(zip(runs, workers.map("trainings", train_run, runs), strict=True))
    return [{"group": item.group, "label": item.label} | done[item.run] for item in named]


def gradient_descent(
    settings: Settings, seed: int, rate: float, activation: str = "relu"
) -> Descent:
    images, steps = settings.descent_images, settings.descent_steps
    return Descent(rate, images, steps, settings.descent_every, seed, activation)


def runs_by_rate(settings: Settings, seed: int, suggestion: float | None) -> list[Named]:
    rates = sorted({*settings.rates, settings.case})
    chosen = [("rates", f"{rate:g}", rate) for rate in rates]
    if suggestion is not None:
        chosen.append(("suggested", f"{suggestion:.2g}", float(f"{suggestion:.2g}")))
    return [
        Named(group, label, Run(recipe(settings, seed + number, lr=rate), settings.limit, seed))
        for group, label, rate in chosen
        for number in range(settings.seeds)
    ]


def runs_of_the_case(settings: Settings, seed: int) -> list[Named]:
    """The case's rate with something else changed."""
    rate = settings.case
    changes: list[tuple[str, dict[str, Any], str]] = [
        *((f"batch {size}", {"batch_size": size}, "default") for size in settings.batch_sizes),
        *((f"{name} weights", {}, name) for name in ("halved", "doubled", "Kaiming", "Xavier")),
        *((f"{name} units", {"activation": name}, "default") for name in ("sigmoid", "tanh")),
        ("clipped gradient", {"clip_norm": 1.0}, "default"),
        # Steps of a constant gradient add up to the same: rate / (1 - momentum).
        ("momentum 0.5, rate / 2", {"momentum": 0.5, "lr": rate / 2}, "default"),
        ("momentum 0.9, rate / 10", {"momentum": 0.9, "lr": rate / 10}, "default"),
        ("momentum 0.9", {"momentum": 0.9}, "default"),
    ]
    named = []
    for label, options, initial in changes:
        for number in range(settings.seeds):
            choice = recipe(settings, seed + number, **{"lr": rate} | options)
            named.append(Named("case", label, Run(choice, settings.limit, seed, initial=initial)))
    return named


def runs_by_schedule(settings: Settings, seed: int) -> list[Named]:
    first, *others = settings.scheduled_rates
    chosen = [(first, name) for name in SCHEDULES]
    chosen += [(rate, name) for rate in others for name in GENTLE]
    named = []
    for rate, name in chosen:
        for number in range(settings.seeds):
            choice = recipe(settings, seed + number, lr=rate)
            run = Run(choice, settings.limit, seed, schedule=name)
            named.append(Named(f"schedules from {rate:g}", name, run))
    return named


def recipe(settings: Settings, seed: int, **options: Any) -> Recipe:
    return Recipe(epochs=settings.epochs, scheduler="none", seed=seed, **options)


def range_test(settings: Settings, seed: int, workers: Workers) -> dict[str, Any]:
    """What the learning-rate range test says of this network, before any training."""
    choice = recipe(settings, seed)
    dataset = load_digits(workers.place, seed, settings.limit).train
    model = new_network(choice, dataset, workers.place)
    found = lr_range_test(
        model,
        CrossEntropyLoss(),
        on_device(islice(choice.make_loader(dataset), settings.range_steps), workers.place.device),
        choice.make_optimizer(model),
        steps=settings.range_steps,
    )
    return {"rates": found.lrs, "losses": found.smoothed, "suggestion": found.suggestion}


def step_seconds(settings: Settings, seed: int, workers: Workers) -> float:
    """What a step takes with one thread and nothing beside it; the median of many."""
    choice = recipe(settings, seed)
    dataset = load_digits(workers.place, seed, settings.limit).train
    model = new_network(choice, dataset, workers.place)
    loader = choice.make_loader(dataset)
    ((images, labels),) = on_device(islice(loader, 1), workers.place.device)
    return compare({"step": training_step(model, images, labels)}).median("step")


def on_device(batches: Any, device: str) -> Sequence[tuple[Tensor, Tensor]]:
    return [(images.to(device=device), labels.to(device=device)) for images, labels in batches]


STUDY = Study(
    name="learning-rate",
    summary="Why training at learning rate 1 oscillates, and which rate is the quickest",
    question=QUESTION,
    full=Settings(),
    quick=QUICK,
    measure=measure,
    draw=draw,
    answer=answer,
    ran=ran,
    seen=seen,
    why=why,
)

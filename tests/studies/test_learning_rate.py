"""The study of learning rates: what it measures, and that it says what the numbers say."""

import copy
import json

import numpy as np
import pytest

import tinynn as tn
from tests.training.drawn_digits import drawn_dataset
from tinynn.models import MLP
from tinynn.optim import SGD
from tinynn.studies.learning_rate.descent import Crossing, Descent, descend, walk_across
from tinynn.studies.learning_rate.findings import answer, seen, why
from tinynn.studies.learning_rate.runs import INITIAL_VALUES, SCHEDULES, Run, dead_units, train_run
from tinynn.studies.learning_rate.study import STUDY
from tinynn.studies.shared.study import Results
from tinynn.studies.shared.workers import Place
from tinynn.training.recipe import Recipe


@pytest.fixture
def place(digits):
    return Place(str(digits), "cpu")


# ---- runs


@pytest.mark.parametrize("dead", [0, 3, 8])
def test_dead_units_are_those_that_no_image_reaches(dead):
    model = MLP([784, 8, 10])
    first = model.layers[0]
    with tn.no_grad():
        first.weight.mul_(0.01)
        first.bias.data[...] = np.where(np.arange(8) < dead, -100.0, 100.0)
        first.bias.bump_version()
    assert dead_units(model, drawn_dataset(30)) == dead / 8


def test_a_network_without_relu_has_no_dead_units():
    assert dead_units(MLP([784, 8, 10], "tanh"), drawn_dataset(30)) is None


def rates_of(schedule, steps, lr=2.0):
    optimizer = SGD([tn.nn.Parameter(tn.zeros(1))], lr=lr)
    scheduler = SCHEDULES[schedule](optimizer, steps)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_a_warm_up_rises_evenly_over_a_tenth_and_stays():
    rates = rates_of("warm-up", 50)
    np.testing.assert_allclose(rates[:6], np.linspace(0.02, 2, 6))
    assert rates[6:] == pytest.approx([2.0] * 44)


def test_a_warm_up_may_lead_to_a_cosine():
    rates = rates_of("warm-up, cosine", 50)
    np.testing.assert_allclose(rates[:6], np.linspace(0.02, 2, 6))
    np.testing.assert_allclose(rates[5:], 1 + np.cos(np.pi * np.arange(45) / 45), atol=1e-12)


@pytest.mark.parametrize("name", INITIAL_VALUES)
def test_initial_values_train(place, name):
    recipe = Recipe(epochs=2, lr=0.1, scheduler="none")
    result = train_run(place, Run(recipe, 300, 0, initial=name))
    assert result["diverged"] is None
    assert result["losses"][-1] < result["losses"][0]


def test_a_training_that_diverges_is_a_result(place):
    result = train_run(place, Run(Recipe(epochs=2, lr=1e4, scheduler="none"), 300, 0))
    assert "epoch 1" in result["diverged"]
    assert result["dead"] is None
    json.dumps(result, allow_nan=False)


def test_a_run_tells_rate_and_loss_of_every_step(place):
    recipe = Recipe(epochs=3, lr=0.5, batch_size=50)
    result = train_run(place, Run(recipe, 500, 0, schedule="cosine"))
    np.testing.assert_allclose(
        result["rates"], 0.25 * (1 + np.cos(np.pi * np.arange(30) / 30)), rtol=1e-6
    )
    assert len(result["losses"]) == result["steps"] == result["planned_steps"] == 30
    assert len(result["validation_accuracy"]) == 3


# ---- curvature


def test_steps_along_a_direction_shrink_by_one_minus_rate_times_eigenvalue(place):
    # With smooth units: the kinks of ReLU bend the loss, too, and no derivative sees them.
    descent = Descent(rate=0.05, images=400, steps=40, every=1, seed=0, activation="tanh")
    walks = walk_across(place, Crossing(descent, (0.5, 1.5, 2.0, 2.1), steps=3))["walks"]
    for product, distances in walks.items():
        theory = (1 - float(product)) ** np.arange(4)
        np.testing.assert_allclose(distances, theory, rtol=0.01, atol=0.01)


def test_descent_below_two_over_the_eigenvalue_never_rises(place):
    result = descend(place, Descent(rate=0.02, images=400, steps=60, every=10, seed=0))
    assert max(look["value"] for look in result["looks"]) < 2 / 0.02
    assert np.all(np.diff(result["losses"]) < 0)


def test_descent_far_above_it_rises_and_ends(place):
    result = descend(place, Descent(rate=3.0, images=400, steps=60, every=10, seed=0))
    assert len(result["losses"]) < 60
    assert max(np.diff(result["losses"])) > 0
    json.dumps(result, allow_nan=False)


# ---- findings


def results_with(change):
    """Results that were made up: rate 1 oscillates and rate 0.1 does not, then changed."""
    settings = json.loads(json.dumps(vars(STUDY.full))) | {"epochs": 4, "descent_steps": 3}
    runs = [
        made_up(group, label, seed, accuracies)
        for group, label, accuracies in [
            ("rates", "0.1", [0.9, 0.96, 0.97, 0.975]),
            ("rates", "1", [0.56, 0.59, 0.56, 0.6]),
            ("suggested", "0.2", [0.9, 0.95, 0.97, 0.974]),
            ("case", "sigmoid units", [0.9, 0.95, 0.96, 0.97]),
            ("case", "tanh units", [0.5, 0.4, 0.5, 0.4]),
            *(
                (f"schedules from {rate:g}", name, [0.9] * 4)
                for rate in (0.5, 1)
                for name in SCHEDULES
            ),
        ]
        for seed in range(3)
    ]
    descents = [
        {
            "rate": rate,
            "activation": units,
            "images": 100,
            "losses": [2.0, 1.5, 1.0],
            "looks": [{"step": 0, "value": 25.0, "residual": 0.1}],
        }
        for rate, units in [(0.05, "relu"), (0.05, "tanh"), (0.05, "sigmoid"), (1.0, "relu")]
    ]
    measured = {
        "range_test": {"rates": [0.01, 0.1, 1.0], "losses": [2.0, 1.0, 3.0], "suggestion": 0.2},
        "descents": descents,
        "walk": {"eigenvalue": 20.0, "walks": {"0.5": [1.0, 0.5], "2.1": [1.0, -1.1]}},
        "runs": runs,
        "step_seconds": 0.001,
        "images": 1000,
        "validation_images": 100,
    }
    measured = copy.deepcopy(measured)
    change(measured)
    return Results(settings, measured, {})


def made_up(group, label, seed, accuracies):
    rate = float(label) if group in ("rates", "suggested") else 1.0
    return {
        "group": group,
        "label": label,
        "seed": seed,
        "rate": rate,
        "batch_size": 64,
        "train_accuracy": accuracies,
        "validation_accuracy": [value + 0.001 * seed for value in accuracies],
        "steps": 40,
        "planned_steps": 40,
        "rates": [rate] * 4,
        "losses": [2.0, 1.0, 0.5, 0.4],
        "diverged": None,
        "dead": 0.5 if label == "1" else 0.0,
    }


def test_an_oscillation_is_told():
    results = results_with(lambda measured: None)
    assert "did not oscillate" not in seen(results)
    assert "56%, 59%, 56% and 60%" in seen(results)
    assert "The loss bends too much for such steps" in answer(results)
    assert "not the highest rate tried" in answer(results)
    assert "may not come back" in why(results)


def test_without_an_oscillation_the_report_says_so():
    def calm(measured):
        for run in measured["runs"]:
            if run["label"] == "1":
                run |= {"validation_accuracy": [0.97, 0.98, 0.985, 0.99], "dead": 0.0}
        for descent in measured["descents"]:
            descent["looks"][0]["value"] = 0.5

    results = results_with(calm)
    assert "So rate 1 did not oscillate in this run" in seen(results)
    assert "Curvature does not forbid it in this run" in answer(results)
    assert "the highest rate tried" in answer(results)
    assert "not the highest" not in answer(results)
    assert "may not come back" not in why(results)


def test_when_everything_diverged_the_report_says_so():
    def ruin(measured):
        for run in measured["runs"]:
            if run["rate"] == 1:
                run |= {"validation_accuracy": [], "train_accuracy": [], "dead": None}
                run["diverged"] = "loss in epoch 1"

    results = results_with(ruin)
    assert "Every training at rate 1 diverged" in seen(results)
    assert "3 of 3 trainings diverged; at rate" in answer(results)


def test_the_range_test_is_judged_by_training_with_its_rate():
    def mislead(measured):
        for run in measured["runs"]:
            if run["group"] == "suggested":
                run["validation_accuracy"] = [0.2, 0.2, 0.2, 0.2 + 0.001 * run["seed"]]

    assert "clearly worse than" in seen(results_with(mislead))
    assert "no clear difference from" in seen(results_with(lambda measured: None))
    assert "suggested no rate" in seen(
        results_with(lambda m: m["range_test"].update(suggestion=None))
    )

"""The trainings of the study, on drawn digits: what is measured is what it is said to be."""

import numpy as np
import pytest
from scipy.special import softmax

import tinynn as tn
from tests.studies.nonlinearity.results import SETTINGS
from tinynn.data import normalize
from tinynn.studies.nonlinearity.linearity import compare_with_collapse
from tinynn.studies.nonlinearity.networks import ACTIVATED, DEEP, FLAT, NETWORKS, recipe
from tinynn.studies.nonlinearity.runs import (
    Run,
    bare_layers,
    best_rate,
    first_gradients,
    inputs_of,
    run_all,
    run_one,
    try_rate,
)
from tinynn.studies.nonlinearity.study import STUDY
from tinynn.studies.shared.training import load_digits, new_network
from tinynn.studies.shared.workers import Workers

# Some hundred roundings of 2^-24.
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def workers(digits):
    return Workers(1, data=str(digits), say=lambda line: None)


@pytest.fixture(scope="module")
def measured(workers):
    before = tn.get_num_threads()
    tn.set_num_threads(1)
    yield STUDY.measure(SETTINGS, 3, workers)
    tn.set_num_threads(before)


def test_every_network_learns(measured):
    for name in NETWORKS:
        runs = measured["runs"][name]
        assert len(runs) == SETTINGS.runs
        for run in runs:
            assert run["train_loss"][-1] < run["train_loss"][0]
            assert len(run["validation_accuracy"]) == SETTINGS.epochs
    assert min(run["test_accuracy"] for run in measured["runs"]["ReLU"]) > 0.3


def test_the_trainings_of_a_network_are_different_ones(measured):
    for name in NETWORKS:
        first, second = measured["runs"][name]
        assert first["train_loss"] != second["train_loss"]


def test_only_the_linear_networks_are_linear(measured):
    for name in NETWORKS:
        for run in measured["runs"][name]:
            if name in (FLAT, DEEP):
                assert run["departure"] < ROUNDING
            else:
                assert run["departure"] > 100 * ROUNDING


def test_the_deep_linear_network_is_its_one_matrix(measured):
    for run in measured["runs"][DEEP]:
        collapse = run["collapse"]
        for dtype in ("float32", "float64"):
            assert collapse[dtype]["share_of_bound"] <= 1
            assert collapse[dtype]["difference"] <= collapse[dtype]["bound"]
        assert collapse["float64"]["difference"] < 1e-6 * collapse["float32"]["difference"]
    assert all(run["collapse"] is None for run in measured["runs"][FLAT])


def test_sizes_are_counted(measured, workers):
    assert measured["parameters"][FLAT] == 784 * 10 + 10
    expected = 784 * 12 + 12 + 12 * 11 + 11 + 11 * 10 + 10
    assert {measured["parameters"][name] for name in NETWORKS if name != FLAT} == {expected}
    assert measured["images"] == {"train": 600, "validation": 100, "test": 400}
    assert measured["steps_per_epoch"] == 10  # 600 images, 64 at a time


def test_every_network_is_timed_in_every_round(measured):
    for kind in ("training", "inference"):
        assert list(measured["timings"][kind]) == ["32", "64"]
        for sets in measured["timings"][kind].values():
            assert len(sets) == SETTINGS.timing_sets
            for seconds in sets:
                assert seconds.keys() == NETWORKS.keys()
                assert {len(rounds) for rounds in seconds.values()} == {SETTINGS.timing_rounds}
                assert min(map(min, seconds.values())) > 0
    assert measured["timings"]["threads"] == 1


def test_the_search_tries_every_rate(measured):
    for name in NETWORKS:
        assert list(measured["search"][name]) == ["0.1", "0.3", "1"]


def test_the_best_rate_is_never_one_that_diverged():
    assert best_rate({"0.1": 0.0, "0.3": None, "1": 0.1}) == 1.0
    assert best_rate({"3": None, "0.1": 0.2, "0.3": 0.2}) == 0.1


# ---- parts


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_timed_is_the_network_without_place_holders(name, workers):
    dataset = load_digits(workers.place, 3).train
    layers = bare_layers(SETTINGS, name, dataset, workers.place)
    kinds = [type(layer).__name__ for layer in layers]
    activation = type(tn.models.mlp.ACTIVATIONS[NETWORKS[name]]()).__name__
    expected = {FLAT: ["Linear"], DEEP: ["Linear"] * 3}
    assert kinds == expected.get(name, ["Linear", activation, "Linear", activation, "Linear"])
    images = inputs_of(dataset.images[:5], workers.place)
    whole = new_network(recipe(SETTINGS, name), dataset, workers.place)
    with tn.no_grad():
        np.testing.assert_array_equal(layers(images).numpy(), whole(images).numpy())


def test_margins_are_those_of_the_two_greatest_outputs(workers):
    parts = load_digits(workers.place, 3)
    model = new_network(recipe(SETTINGS, DEEP, seed=5), parts.train, workers.place)
    images = inputs_of(parts.test.images[:50], workers.place)
    found = compare_with_collapse(model, images)
    outputs = images.numpy().astype(np.float64)
    for weight, bias in zip(*[iter([p.data for p in model.parameters()])] * 2, strict=True):
        outputs = outputs @ weight.T.astype(np.float64) + bias
    ordered = np.sort(outputs, axis=1)
    narrowest = (ordered[:, -1] - ordered[:, -2]).min()
    np.testing.assert_allclose(found["narrowest_margin"], narrowest, rtol=1e-9)
    np.testing.assert_allclose(found["typical_output"], np.sqrt((outputs**2).mean()), rtol=1e-9)
    if found["float32"]["difference"] < narrowest / 2:
        assert found["float32"]["changed"] == 0


def test_the_first_gradient_is_that_of_softmax_regression(workers):
    dataset = load_digits(workers.place, 3).train
    model = new_network(recipe(SETTINGS, FLAT, seed=5), dataset, workers.place)
    weight, bias = (parameter.data.astype(np.float64) for parameter in model.parameters())
    x = normalize(dataset.images[:1000]).reshape(-1, 784).astype(np.float64)
    wrong = softmax(x @ weight.T + bias, axis=1) - np.eye(10)[dataset.labels[:1000]]
    expected = np.linalg.norm(wrong.T @ x / len(x))
    (found,) = first_gradients(model, dataset, workers.place)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_training_that_diverges_is_none(workers):
    task = Run(recipe(SETTINGS, "ReLU", lr=1e6, epochs=1, seed=0), 300, 0)
    assert try_rate(workers.place, task) is None
    assert run_one(workers.place, task) is None


def test_a_network_that_always_diverges_is_an_error(workers):
    rates = dict.fromkeys(NETWORKS, 0.1) | {"GELU": 1e6}
    with pytest.raises(RuntimeError, match=r"every training with GELU diverged at a .* of 1e\+06"):
        run_all(SETTINGS, 3, rates, workers)


def test_another_device_gives_the_same(workers):
    task = Run(recipe(SETTINGS, DEEP, lr=0.1, epochs=1, seed=0), 200, 0)
    here = run_one(workers.place, task)
    there = run_one(workers.place._replace(device="fake"), task)
    assert there["collapse"]["float32"]["share_of_bound"] <= 1
    for key in ("train_loss", "validation_loss", "first_gradients"):
        np.testing.assert_allclose(there[key], here[key], rtol=1e-4)


def test_all_networks_have_the_activation_of_their_name():
    for name, activation in ACTIVATED.items():
        assert recipe(SETTINGS, name).activation == activation
        assert activation == name.lower().replace(" ", "_")
        assert recipe(SETTINGS, name).hidden == SETTINGS.hidden
    assert recipe(SETTINGS, FLAT).hidden == ()
    assert tn.models.MLP([4, 3, 2], recipe(SETTINGS, DEEP).activation).layers

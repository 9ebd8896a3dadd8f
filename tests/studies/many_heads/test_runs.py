"""The task is what it says, and networks are judged by it rightly."""

import numpy as np
import pytest

import tinynn as tn
from tinynn.studies.many_heads.runs import Run, best_rate, judge, thinned, train
from tinynn.studies.many_heads.study import QUICK
from tinynn.studies.many_heads.task import Network, Settings, draw_batch, expected
from tinynn.studies.many_heads.timings import time_heads
from tinynn.studies.shared.workers import Place

PLACE = Place(None, "cpu")


def test_answers_are_the_colours_of_those_who_are_known():
    settings = Settings()
    batch = draw_batch(settings, 5, np.random.default_rng(0))
    for row in range(5):
        colour_of = dict(zip(batch.names[row], batch.colours[row], strict=True))
        assert sorted(colour_of) == list(range(settings.persons))
        for person in range(settings.persons):
            known = batch.known[row, person]
            assert len(set(known)) == settings.relations
            assert [colour_of[name] for name in known] == list(batch.answers[row, person])
            assert list(batch.names[row, batch.places[row, person]]) == list(known)


def test_the_share_of_one_who_guesses():
    settings = Settings()
    batch = draw_batch(settings, 2000, np.random.default_rng(1))
    guesses = np.random.default_rng(2).integers(0, settings.colours, batch.answers.shape)
    for found in (0, 1, 3):
        answers = np.where(np.arange(settings.relations) < found, batch.answers, guesses)
        share = np.mean(answers == batch.answers)
        assert share == pytest.approx(expected(settings, found), abs=0.005)
    assert expected(settings, 100) == 1


@pytest.mark.parametrize("readout", ["linear layer", "MLP"])
def test_networks_differ_in_their_heads_alone(readout):
    networks = [Network(Settings(), heads, readout) for heads in (1, 8)]
    shapes = [{name: p.shape for name, p in net.named_parameters()} for net in networks]
    assert shapes[0] == shapes[1]


def test_the_weight_at_a_place_is_that_of_its_relation():
    settings = Settings()
    test = draw_batch(settings, 8, np.random.default_rng(3))
    network = Network(settings, 2, "linear layer")
    found = judge(network, test, PLACE)
    weights = np.array(found["example"]["weights"])
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-3)
    assert weights.shape == (2, settings.persons, settings.persons)
    assert found["example"]["places"] == test.places[0].tolist()
    given = (tn.tensor(array) for array in (test.names, test.known, test.colours))
    every = network.weights(*given).detach().numpy()
    for relation in range(settings.relations):
        at_place = [
            every[row, 1, person, test.places[row, person, relation]]
            for row, person in np.ndindex(8, settings.persons)
        ]
        assert found["mass"][1][relation] == pytest.approx(np.mean(at_place), rel=1e-5)
    assert np.mean(found["accuracy"]) == pytest.approx(1 / settings.colours, abs=0.05)


def test_heads_learn_to_find_two_places_and_one_head_one():
    settings = Settings(
        persons=5, relations=2, colours=6, width=32, heads=(1, 2), steps=250, batch_size=32
    )
    runs = [train(PLACE, Run(settings, n, "linear layer", 0.01, 0, 7)) for n in (1, 2)]
    one, two = (np.mean(run["accuracy"]) for run in runs)
    assert two > 0.95
    assert one == pytest.approx(expected(settings, 1), abs=0.06)
    assert max(runs[1]["mass"][0]) > 0.9
    again = train(PLACE, Run(settings, 2, "linear layer", 0.01, 0, 7))
    assert again == runs[1]


def test_what_is_kept_of_the_losses():
    assert thinned([1.0, 2.0]) == [1.0, 2.0]
    assert thinned([float(n) for n in range(60)])[:2] == [0.5, 2.5]
    assert best_rate({"0.1": 0.5, "0.01": 0.5}) == 0.01


def test_timings_are_of_heads_that_the_kernels_take():
    timings = time_heads(QUICK, 0, PLACE)
    assert timings["threads"] >= 1
    for kind in ("prefill", "decode"):
        assert len(timings[kind]) == QUICK.timing_sets
        assert {name: len(found) for name, found in timings[kind][0].items()} == {"1": 3, "2": 3}

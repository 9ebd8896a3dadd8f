"""Which images the runs of the study see, with which labels, and what they tell."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.training.drawn_digits import drawn_dataset
from tinynn.models import MLP
from tinynn.studies.overfitting.plan import ALL, MAIN, cases, remedy_run, run_cases
from tinynn.studies.overfitting.runs import (
    Run,
    judge,
    look_at_labels,
    run_one,
    sizes,
    training_set,
    watched,
)
from tinynn.studies.overfitting.settings import (
    NONE,
    REMEDIES,
    Remedy,
    Settings,
    changes,
    recipe,
)
from tinynn.studies.overfitting.study import STUDY, count_parameters
from tinynn.studies.overfitting.timings import time_epochs
from tinynn.studies.shared.training import load_digits
from tinynn.studies.shared.workers import Place, Workers

TINY = Settings(
    images=100,
    sets=2,
    widths=(4, 8),
    other_noises=(0.0,),
    other_widths=(4,),
    all_widths=(4,),
    all_epochs=1,
    epochs=2,
    batch_size=50,
    more=2,
    watched=60,
    timing_rounds=1,
)


@pytest.fixture
def place(digits):
    return Place(str(digits), "cpu")


def planned(place, name=NONE, number=0, **choices):
    settings = replace(TINY, **choices)
    found = sizes(settings, 0, place)
    return remedy_run(settings, 0, found, REMEDIES[name], 8, number)


# ---- images


def keys(dataset):
    """The images, to be compared; drawn digits are all different."""
    return {image.tobytes() for image in dataset.images}


def test_training_sets_have_no_image_in_common(place):
    parts = load_digits(place, 0)
    sets = [training_set(parts, planned(place, number=number, sets=4)) for number in range(4)]
    assert [len(dataset) for dataset in sets] == [100] * 4
    assert len(set.union(*map(keys, sets))) == 400


def test_more_images_are_the_same_ones_and_others_of_no_other_set(place):
    parts = load_digits(place, 0)
    few, more = (keys(training_set(parts, planned(place, name))) for name in (NONE, "more images"))
    assert len(few) == 100
    assert len(more) == 200
    assert few < more
    assert not more & keys(training_set(parts, planned(place, "more images", number=1)))


def test_no_training_image_is_judged_by(place):
    parts = load_digits(place, 0)
    judges = keys(parts.validation) | keys(parts.test)
    assert not judges & keys(training_set(parts, planned(place)))
    assert keys(watched(parts, planned(place))) < keys(parts.validation)


def test_sets_are_smaller_where_there_are_too_few_images(place):
    found = sizes(STUDY.full, 0, place)
    assert found.set * found.sets * STUDY.full.more <= found.train == 1100
    assert found.more == STUDY.full.more * found.set
    assert found.set == 1100 // 12
    assert found.watched == found.validation == 100


def test_who_stops_early_has_no_right_labels_to_stop_by(place):
    parts = load_digits(place, 0)
    plain, stopping = (watched(parts, planned(place, name)) for name in (NONE, "early stopping"))
    np.testing.assert_array_equal(plain.images, stopping.images)
    assert (plain.labels != stopping.labels).sum() == round(0.4 * 60)


# ---- what is tried


def test_remedies_change_what_they_say():
    assert changes(TINY, Remedy()) == {}
    assert changes(TINY, REMEDIES["dropout"]) == {"dropout": 0.5}
    weaker = changes(TINY, REMEDIES["all five, weaker"])
    assert weaker == {
        "weight_decay": 0.25 * TINY.weight_decay,
        "dropout": 0.125,
        "label_smoothing": 0.25 * TINY.label_smoothing,
        "augment": True,
        "early_stopping": TINY.patience,
    }


def test_cases_begin_with_the_main_one():
    found = cases(STUDY.full)
    assert next(iter(found)) == MAIN
    assert found[MAIN].noise == 0.4
    assert min(found[MAIN].widths) == 8
    assert max(found[MAIN].widths) == 2048
    assert found[ALL].noise == 0


def test_parameters_are_counted(place):
    count = count_parameters(TINY, 0, place)
    assert count["8"] == 784 * 8 + 8 + 8 * 4 + 4 + 4 * 10 + 10


# ---- what comes of it


def test_answers_are_counted_by_hand():
    """A network that always says 3."""
    right = drawn_dataset(40)
    labelled = drawn_dataset(40)
    labelled.labels[:8] = (labelled.labels[:8] + 1) % 10
    model = MLP([784, 10])
    model.layers[0].weight.data[...] = 0
    model.layers[0].bias.data[...] = np.arange(10) == 3
    model.layers[0].bias.bump_version()
    told = look_at_labels(model, right, labelled)
    assert told == {
        "train_accuracy": pytest.approx((labelled.labels == 3).mean()),
        "right_learned": pytest.approx((right.labels[8:] == 3).mean()),
        "wrong_learned": pytest.approx((labelled.labels[:8] == 3).mean()),
        "wrong_seen_through": pytest.approx((right.labels[:8] == 3).mean()),
    }
    assert look_at_labels(model, right, right)["wrong_learned"] is None


def test_a_loss_is_the_mean_negative_logarithm():
    probabilities = np.array([[0.5, 0.5], [0.25, 0.75], [0.0, 1.0]], np.float32)
    told = judge(probabilities, np.array([0, 1, 1]), "test")
    assert told["test_accuracy"] == pytest.approx(1.0)
    assert told["test_loss"] == pytest.approx(-(np.log(0.5) + np.log(0.75)) / 3)
    impossible = judge(probabilities, np.array([0, 1, 0]), "test")
    assert np.isfinite(impossible["test_loss"])


def test_a_run_tells_what_it_saw(place):
    outcome = run_one(place, planned(place, epochs=3))
    json.dumps(outcome.numbers, allow_nan=False)
    assert outcome.probabilities.shape == (100, 10)
    np.testing.assert_allclose(outcome.probabilities.sum(axis=1), 1, rtol=1e-5)
    assert len(outcome.numbers["course"]["train_accuracy"]) == outcome.numbers["epochs"] == 3


def test_label_smoothing_does_not_change_what_the_loss_means(place):
    """The loss told is that of the probabilities, and not the one that was trained with."""
    run = planned(place, "label smoothing", epochs=1)
    outcome = run_one(place, run)
    labels = load_digits(place, 0).validation.labels
    own = outcome.probabilities[np.arange(100), labels]
    assert outcome.numbers["validation_loss"] == pytest.approx(-np.log(own).mean(), rel=1e-5)


def test_a_training_that_diverges_is_told(place):
    found = sizes(TINY, 0, place)
    run = Run(recipe(TINY, 8, lr=1e30, epochs=2), 0.4, 0, found.set, found, 0)
    with pytest.raises(RuntimeError, match=r"\(8, 4\) units diverged .*another --seed"):
        run_one(place, run)


def test_cases_have_runs_and_parts(digits):
    workers = Workers(1, data=str(digits), say=lambda line: None)
    found = run_cases(TINY, 0, sizes(TINY, 0, workers.place), workers)
    assert list(found) == [MAIN, "noise 0", ALL]
    for width in ("4", "8"):
        assert len(found[MAIN]["runs"][width]) == 2
        parts = found[MAIN]["decompositions"][width]
        assert parts["bias"] + parts["variance"] == pytest.approx(parts["error"])
    assert found[ALL]["decompositions"] == {}
    assert found["noise 0"]["runs"]["4"][0]["wrong_learned"] is None
    assert found[MAIN]["runs"]["4"][0]["wrong_learned"] is not None


def test_every_remedy_is_timed(place):
    seconds = time_epochs(TINY, 0, sizes(TINY, 0, place), (4, 8, 8), place)
    assert seconds.keys() == {*REMEDIES, "fewer neurons", "more neurons"}
    assert min(min(values) for values in seconds.values()) > 0

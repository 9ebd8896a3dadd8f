"""The report says what the numbers say, also where they are not the expected ones."""

import numpy as np
import pytest

from tests.studies.nonlinearity.results import (
    SETTINGS,
    expected_results,
    training,
    with_collapse,
    with_seconds,
)
from tinynn.studies.nonlinearity.explanation import why
from tinynn.studies.nonlinearity.findings import answer, ran, seen
from tinynn.studies.nonlinearity.networks import ACTIVATED, DEEP, FLAT, NETWORKS
from tinynn.studies.nonlinearity.study import STUDY
from tinynn.studies.nonlinearity.view import View
from tinynn.training.figure import save_figure


def words(text):
    return " ".join(text.split())


# ---- is it needed?


def test_an_activation_that_helps_is_needed():
    results = expected_results()
    assert words(answer(results)).startswith("It is needed. Without an activation the network")
    assert "network 784-12-11-10 recognises 92.10 ± 0.14%" in words(answer(results))
    assert "With every activation clearly more images are recognised" in words(seen(results))
    assert "The least gain is that of ReLU, 6.00 points;" in words(seen(results))


def test_one_that_does_not_help_is_not_called_needed():
    same = {name: [0.92, 0.922] for name in NETWORKS}
    results = expected_results(same)
    text = words(answer(results))
    assert text.startswith("This run does not show that it is needed.")
    assert f"Not clearly more than without: {', '.join(list(ACTIVATED)[:-1])} and sigmoid." in text
    assert "With no activation are clearly more images recognised than without" in words(
        seen(results)
    )


def test_activations_that_do_not_help_are_named():
    results = expected_results({"sigmoid": [0.92, 0.922], "tanh": [0.90, 0.901]})
    assert "Not clearly more than without: tanh and sigmoid." in words(answer(results))
    text = words(seen(results))
    assert "are recognised with ReLU, leaky ReLU, ELU, GELU and SiLU." in text
    assert "Clearly worse than ReLU: tanh and sigmoid." in text


def test_better_than_relu_is_told():
    text = words(seen(expected_results({"GELU": [0.99, 0.991]})))
    assert "Clearly better than ReLU: GELU." in text
    assert "Clearly worse" not in text
    assert "None of the other activations" in words(seen(expected_results()))


# ---- the one matrix


@pytest.mark.parametrize(
    ("deep", "expected"),
    [
        ([0.92, 0.922], "their accuracies do not differ clearly"),
        (
            [0.95, 0.952],
            "the accuracy of the deep one lies 3.00 points above that of softmax",
        ),
        (
            [0.90, 0.902],
            "the accuracy of the deep one lies 2.00 points below that of softmax",
        ),
        ([0.90], "a single training of each cannot tell their accuracies apart"),
    ],
)
def test_deep_and_flat_are_compared_in_both_directions(deep, expected):
    results = expected_results({DEEP: deep})
    assert expected in words(answer(results))
    assert expected in words(seen(results))


def test_a_difference_within_rounding_is_put_down_to_it():
    text = words(answer(expected_results()))
    assert "differ from the network's by at most 1.5e-05, no more than rounding explains." in text
    assert "The class of every image is the same." in text


def test_a_difference_beyond_rounding_is_not():
    results = expected_results(runs=with_collapse(share_of_bound=3.5, difference=0.25))
    text = words(answer(results))
    assert "differ from the network's by up to 2.5e-01, more than rounding can explain" in text
    assert "depth is for nothing" not in text
    assert "Rounding does not explain it: a difference is 3.5e+00 times its bound" in words(
        seen(results)
    )


def test_images_of_another_class_are_counted():
    results = expected_results(runs=with_collapse(changed=3, changed_margin=1.5e-6))
    # two trainings of three images each
    assert "The class of 6 images (of all trainings together) is another" in words(answer(results))
    assert "at most 1.5e-06 apart" in words(answer(results))


def test_a_network_with_an_activation_that_does_not_bend_is_told():
    flat = [run | {"departure": 1e-9} for run in expected_results().measured["runs"]["SiLU"]]
    runs = expected_results().measured["runs"] | {"SiLU": flat}
    assert "But SiLU departs no more from linear" in words(seen(expected_results(runs=runs)))
    assert "no such matrix" not in words(seen(expected_results(runs=runs)))
    assert "no such matrix: the one nearest to linear" in words(seen(expected_results()))


def test_a_narrow_layer_limits_the_product():
    assert "No hidden layer is narrower" in words(why(expected_results()))
    assert "A hidden layer is narrower" in words(why(expected_results(classes=12)))


# ---- time


def test_the_share_of_a_step_is_what_the_network_without_it_saves():
    view = View(expected_results())
    assert view.saving("training", "32", "ReLU") == pytest.approx((0.25, 0))  # 3e-4 of 4e-4
    text = words(answer(expected_results()))
    told = "25.0 ± 0.0% of a training step of 32 images and 25.0 ± 0.0% of a training step of 64"
    assert f"Leaving ReLU out saves {told} images." in text
    assert "66.7% shorter" in text  # 1e-4 against 3e-4
    # 1e-4 s for 32 images with 12 and 11 units
    assert view.cost_per_value("32", "ReLU").value == pytest.approx(1e-4 / (32 * 23))


def test_the_error_is_that_of_the_sets():
    # The network without activations takes 3e-4. Within a set, the middle round counts.
    sets = [[4e-4, 4e-4, 9e-4, 1e-4, 4e-4], [5e-4] * 5, [7.5e-4, 7.5e-4, 1e-4, 8e-4, 7.5e-4]]
    view = View(expected_results(timings=with_seconds("ReLU", *sets)))
    found = view.saving("training", "64", "ReLU")
    shares = [0.25, 0.4, 0.6]
    assert found.value == pytest.approx(np.mean(shares))
    assert found.error == pytest.approx(np.std(shares, ddof=1) / np.sqrt(3))
    mean_ratio = np.mean([4 / 3, 5 / 3, 5 / 2])
    assert view.seconds("training", "64", "ReLU") == pytest.approx(3e-4 * mean_ratio)


def test_a_saving_that_is_none_is_not_claimed():
    text = words(answer(expected_results(timings=with_seconds("ReLU", *[[2.5e-4] * 5] * 3))))
    assert "Leaving ReLU out saves nothing (-20.0 ± 0.0%) of a training step of 32 images" in text


def test_a_saving_that_comes_and_goes_is_not_clear():
    coming_and_going = with_seconds("ReLU", [2e-4] * 5, [4e-4] * 5, [5e-4] * 5)
    text = words(answer(expected_results(timings=coming_and_going)))
    assert "Leaving ReLU out saves nothing clear (5.0 ± 27.8%) of a training step of 32" in text


def test_a_saving_that_is_clear_at_one_size_only_is_told_so():
    timings = with_seconds("ReLU", *[[2.5e-4] * 5] * 3, batches=("32",))
    text = words(answer(expected_results(timings=timings)))
    told = (
        "nothing (-20.0 ± 0.0%) of a training step of 32 images and 25.0 ± 0.0% of a training step"
    )
    assert f"Leaving ReLU out saves {told} of 64 images." in text


def test_layers_that_cost_nothing_are_not_recommended_to_be_left_out():
    slow = with_seconds(FLAT, *[[9e-4] * 5] * 3)
    assert "saves more by leaving out" not in words(answer(expected_results(timings=slow)))


# ---- the rest


def test_the_plane_is_judged_by_its_numbers():
    assert "the least accurate, ReLU, is right on 99.0%" in words(seen(expected_results()))
    plane = expected_results().measured["plane"]
    plane = plane | {"sigmoid": plane["sigmoid"] | {"accuracy": 0.5}}
    text = words(seen(expected_results(plane=plane)))
    assert "With sigmoid the network tells the arms apart no better" in text
    assert "Every activation bends the lines" not in text


def test_the_search_is_told():
    text = ran(expected_results())
    assert "| no activation      | 80.0% | **90.0%** | diverged |" in text
    assert "None of them is the lowest or the highest one tried." in words(text)
    search = expected_results().measured["search"] | {"tanh": {"0.1": 0.9, "0.3": 0.8, "1": None}}
    text = words(ran(expected_results(search=search)))
    assert "For tanh it is at the edge of those tried" in text


def test_diverged_trainings_are_counted():
    assert "diverged are left out" not in words(ran(expected_results()))
    results = expected_results({"ELU": [0.98]})
    assert "Trainings that diverged are left out: 1 of ELU." in words(ran(results))


def test_images_that_share_a_piece_are_told():
    results = expected_results()
    assert "No two of the 200 test images lie on the same piece" in words(why(results))
    runs = results.measured["runs"]
    shared = [runs["ReLU"][0], runs["ReLU"][1] | {"pieces": 150}]
    text = words(why(expected_results(runs=runs | {"ReLU": shared})))
    assert "The 200 test images lie on 150 pieces at least of a trained ReLU network" in text


def test_the_smallest_gradient_is_named():
    runs = expected_results().measured["runs"]
    small = [run | {"first_gradients": [0.05, 0.25, 0.125]} for run in runs["sigmoid"]]
    text = words(why(expected_results(runs=runs | {"sigmoid": small})))
    assert "smallest with sigmoid: 0.1 times as long as with ReLU" in text
    assert "The search answered" not in text  # with the same rate


def test_figures_of_a_single_training_of_one_epoch_are_drawn(tmp_path):
    run = {
        key: value[:1] if isinstance(value, list) and "loss" in key else value
        for key, value in training(FLAT, 0.9).items()
    }
    results = expected_results(runs={name: [run] for name in NETWORKS})
    figures = STUDY.draw(results)
    for name, figure in figures.items():
        save_figure(figure, tmp_path / name)
        for axes in figure.axes:
            assert axes.get_title() or axes.get_xlabel()
    assert len(figures) == 5
    titles = [axes.get_title() for axes in figures["boundaries.png"].axes]
    assert titles[1:3] == [f"{FLAT}: 54.0%", f"{DEEP}: 54.0%"]
    assert SETTINGS.plane_points == sum(
        len(line.get_xdata()) for line in figures["boundaries.png"].axes[0].lines
    )

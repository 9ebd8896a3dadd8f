"""The report says what the numbers say, also where they are not the expected ones."""

import pytest

from tests.studies.overfitting.results import HURT, RISING, made_up
from tinynn.studies.overfitting.explanation import why
from tinynn.studies.overfitting.figures import draw
from tinynn.studies.overfitting.findings import answer, ran, seen
from tinynn.studies.overfitting.plan import MAIN
from tinynn.studies.overfitting.view import View, greatest_fall, greatest_rise_beyond
from tinynn.training.figure import save_figure


def words(text):
    return " ".join(text.split())


# ---- does it hurt?


def test_a_fall_is_told_with_the_widths_between_which_it_is():
    results = made_up()
    assert View(results).fall()[:2] == (16, 64)
    text = words(answer(results))
    assert text.startswith("They can hurt. On 1,000 images with 40% wrong labels, from 16 to 64")
    assert "rises from 70.0 ± 0.0% to 95.0 ± 0.0%" in text
    assert "falls from 72.0 ± 0.3% to 62.0 ± 0.3%" in text
    assert "validation accuracy falls by 10.0 points" in words(seen(results))


def test_where_every_wider_network_is_better_the_report_says_so():
    results = made_up(main=RISING)
    text = words(answer(results))
    assert text.startswith("This run does not show that more neurons hurt.")
    assert "no wider network has a lower validation accuracy than a narrower one" in text
    assert "They can hurt" not in text
    assert "the expected effect did not show in this run. No wider network" in words(seen(results))


def test_a_fall_within_the_spread_is_not_called_one():
    results = made_up(main=(0.6, 0.702, 0.7, 0.71))
    assert View(results).fall().difference.value > 0
    assert "no more than chance may explain" in words(answer(results))
    assert "They can hurt" not in words(answer(results))


def test_a_network_that_learns_nothing_better_is_not_overfitted():
    results = made_up(trains=(0.9, 0.8, 0.5, 0.4))
    assert "and training accuracy does not rise there" in words(answer(results))


def test_a_single_training_shows_nothing():
    results = made_up()
    for runs in results.measured["cases"][MAIN]["runs"].values():
        del runs[1:]
    assert not View(results).is_hurt()
    assert words(answer(results)).startswith("This run does not show")


# ---- beyond


@pytest.mark.parametrize(
    ("widest", "expected"),
    [
        (0.72, "it is 72.0 ± 0.3%, not clearly different from that with 16."),
        (0.68, "it is 68.0 ± 0.3%, less than that with 16."),
        (0.80, "it is 80.0 ± 0.3%, more than that with 16."),
        (0.621, "Still more neurons do not surely mend it"),
    ],
)
def test_the_second_descent_is_told_as_far_as_it_goes(widest, expected):
    assert expected in words(answer(made_up(main=(0.6, 0.72, 0.62, widest))))


def test_without_a_second_descent_none_is_explained():
    flat = made_up(main=(0.6, 0.72, 0.63, 0.62))
    assert View(flat).fall().second == 512
    assert "No wider network was run." in words(answer(flat))
    assert "this run does not surely show it" in words(why(flat))
    assert "Beyond that, less is left" in words(why(made_up()))


@pytest.mark.parametrize(
    ("variances", "expected"),
    [
        ((0.1, 0.15, 0.35, 0.3), "From 16 to 64 neurons the variance grows by 0.200"),
        ((0.1, 0.35, 0.3, 0.2), "variance is not what grows most"),
    ],
)
def test_variance_is_blamed_only_where_it_grew(variances, expected):
    assert expected in words(why(made_up(variances=variances)))


@pytest.mark.parametrize(
    ("variances", "expected"),
    [
        ((0.1, 0.15, 0.35, 0.3), "mostly the average of the networks"),
        ((0.1, 0.15, 0.35, 0.1), "mostly how much they stray from it"),
    ],
)
def test_what_improves_beyond_is_told_by_its_size(variances, expected):
    assert expected in words(why(made_up(variances=variances)))


def test_a_peak_of_variance_at_an_end_is_told_as_that():
    assert "at an end of the widths" in words(seen(made_up(variances=(0.1, 0.2, 0.3, 0.4))))
    assert "The variance is greatest at 64 neurons" in words(seen(made_up()))


# ---- elsewhere


def test_where_it_does_not_happen_is_told():
    text = words(answer(made_up()))
    assert (
        "never surely make the validation accuracy worse on 1,000 images with right labels and "
        "all 9,000 images with right labels." in text
    )
    assert "They do on" not in text


def test_where_it_happens_against_expectation_is_told():
    text = words(answer(made_up(everything=HURT)))
    assert "They do on all 9,000 images with right labels, too." in text
    assert "the effect is here, too" in words(seen(made_up(everything=HURT)))


# ---- remedies


def test_the_best_remedy_is_named():
    text = words(answer(made_up()))
    assert "The best single remedy is augmentation: 91.0 ± 0.3%, at 1.00 times the time." in text
    assert "Clearly worse than no remedy: all five (-32.0 points)." in words(seen(made_up()))
    assert "Strengths that are right alone are too much together" in words(why(made_up()))


def test_remedies_that_do_not_help_are_told_as_that():
    nothing = dict.fromkeys(View(made_up()).measured["remedies"], 0.62)
    results = made_up(remedies=nothing)
    assert "No single remedy helps clearly." in words(answer(results))
    assert "No clear difference: weight decay; dropout;" in words(seen(results))
    assert "were not too much here" in words(why(results))
    assert "Clearly worse" not in seen(results)
    assert "betters the answers and not" not in why(results)


@pytest.mark.parametrize(
    ("accuracy", "expected"),
    [
        (0.95, "95.0 ± 0.3%, more than that"),
        (0.80, "80.0 ± 0.3%, less than that"),
        (0.90, "90.0 ± 0.3%, no clear difference from that"),
    ],
)
def test_all_together_are_compared_with_the_best_alone(accuracy, expected):
    results = made_up(remedies={"all five, weaker": accuracy - 0.01, "augmentation": 0.89})
    assert expected in words(answer(results))


def test_training_longer_may_do_no_harm():
    results = made_up()
    for run in results.measured["remedies"]["no remedy"]:
        run["course"]["validation_accuracy"] = [0.1, 0.2, 0.3, 0.4]
    assert "training longer does no harm in this run" in words(seen(results))
    assert "best after epoch 2, 80.0%" in words(seen(made_up()))


def test_time_is_that_of_all_epochs():
    results = made_up()
    results.measured["seconds"]["dropout"] = [0.3, 0.1, 0.2]
    for run in results.measured["remedies"]["dropout"]:
        run["epochs"] = 10
    view = View(results)
    assert view.seconds("dropout") == pytest.approx(2.0)
    assert view.times_as_long("dropout") == pytest.approx(2.0 * 10 / 4)


# ---- searching


def test_of_all_pairs_the_greatest_fall_is_found():
    values = {8: [0.5, 0.5], 16: [0.9, 0.9], 32: [0.8, 0.8], 64: [0.85, 0.85], 128: [0.7, 0.7]}
    fall = greatest_fall(values)
    assert fall[:2] == (16, 128)
    assert fall.difference.value == pytest.approx(0.2)
    assert greatest_rise_beyond(32, values)[:2] == (32, 64)
    assert greatest_rise_beyond(128, values) is None


def test_the_loss_is_searched_for_a_rise():
    view = View(made_up())
    rise = view.rise_of_loss(MAIN)
    assert rise[:2] == (16, 64)
    assert rise.difference.value == pytest.approx(0.1)


# ---- the rest of the report


def test_what_was_run_is_told():
    text = words(ran(made_up()))
    assert "1,000 images, 40% of them with a wrong label" in text
    assert "That is 40 steps and 270." in text
    assert "dropout of 50% of the hidden units" in text


def test_figures_are_drawn_where_the_effect_is_and_where_it_is_not(tmp_path):
    for results in (made_up(), made_up(main=RISING, everything=HURT)):
        for name, figure in draw(results).items():
            save_figure(figure, tmp_path / name)
            assert (tmp_path / name).stat().st_size > 10_000


def test_the_widest_network_is_not_compared_with_itself():
    results = made_up()
    assert "more neurons (512)" in seen(results)
    results.measured["widths"] = [16, 512, 512]
    assert "more neurons (" not in seen(results)

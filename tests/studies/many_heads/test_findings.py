"""The report says what the numbers say, also where they are not the expected ones."""

import pytest

from tests.studies.many_heads.results import expected_results
from tinynn.studies.many_heads.explanation import why
from tinynn.studies.many_heads.findings import answer, ran, seen
from tinynn.studies.many_heads.study import STUDY
from tinynn.studies.many_heads.view import LINEAR, MLP, View


def words(text):
    return " ".join(text.split())


def with_shares(readout, heads, share):
    def change(run, its_readout, its_heads):
        if (its_readout, its_heads) == (readout, heads):
            shift = run["accuracy"][0] - round(run["accuracy"][0], 2)
            run["accuracy"] = [share + shift] * 4

    return change


def test_heads_are_needed_where_one_finds_one_place():
    text = words(answer(expected_results()))
    assert text.startswith("They are needed. Asked for 4 things at once, one head of width 64")
    assert "gives 34.4 ± 0.4% right answers, 4 heads of width 16 give 100.0 ± 0.4%" in text
    assert "has 34.4% right: that is what the one head learns to do." in text
    assert "More heads than relations (8) make no clear difference." in text


def test_no_need_is_told_as_that():
    text = words(answer(expected_results(with_shares(LINEAR, 1, 1.0))))
    assert text.startswith("This run shows no need.")
    assert "the one head does better than that" in text


@pytest.mark.parametrize(("share", "verb"), [(0.7, "cost 30.0"), (1.3, "add 30.0")])
def test_more_heads_than_relations(share, verb):
    text = words(answer(expected_results(with_shares(LINEAR, 8, share))))
    assert f"More heads than relations (8) {verb} ±" in text


def test_what_an_mlp_gets_out_of_few_heads():
    text = words(answer(expected_results()))
    assert "one head gives 64.0 ± 0.4% and 2 heads give 97.0 ± 0.4%; that is more for one" in text
    assert "With one head a head's weights at the places asked for are 0.50, 0.25, 0.10 and" in text
    assert "without the MLP 0.90, 0.02, 0.01 and 0.01." in text
    assert "with one head and an MLP a head gave" in words(why(expected_results()))

    def alike(run, readout, heads):
        run["accuracy"] = [0.5] * 4

    assert "2 heads give 50.0 ± 0.0%: no clear difference." in words(
        answer(expected_results(alike))
    )
    assert "None of the trainings told of" in words(why(expected_results(alike)))
    with_two = expected_results(with_shares(MLP, 1, 0.34))
    assert "more for 2 heads." in words(answer(with_two))


def test_what_heads_cost():
    text = words(answer(expected_results()))
    assert "More heads take longer: with 8 heads instead of 1, at the same width of 256" in text
    assert "takes 1.73 ± 0.00 times as long" in text
    assert "do not clearly take longer" in words(answer(expected_results(slower=1.0)))
    results = expected_results()
    results.measured["timings"]["decode"] = expected_results(slower=1.0).measured["timings"][
        "decode"
    ]
    assert "take longer in part" in words(answer(results))


def test_tables_hold_what_was_measured():
    view = View(expected_results())
    assert view.enough == 4
    assert view.seconds("decode", 2) == pytest.approx(1.2e-3)
    assert view.gain(MLP, 2, 1).value == pytest.approx(0.33)
    text = seen(expected_results())
    assert "| 2     |       32 |          56.2% |         56.3 ± 0.4% |" in text
    assert "| one head, MLP: a " in text
    assert "| 8     |       32 | 1,728 µs | 1.73 ± 0.00 times |" in text


def test_what_was_run_and_why():
    text = words(ran(expected_results()))
    assert "16 persons stand in a row" in text
    assert "at each learning rate of 0.002 and 0.005." in text
    assert "3 trainings each" in text
    assert "8 times as many of them" in words(why(expected_results()))


def test_figures_are_drawn_from_results_alone():
    figures = STUDY.draw(expected_results())
    assert sorted(figures) == ["answers.png", "heads.png", "losses.png", "times.png"]
    titles = [axes.get_title() for axes in figures["heads.png"].axes]
    assert titles[:3] == ["1 head (linear layer)", "1 head (MLP)", "4 heads, head a (linear layer)"]

"""The report says what the numbers say, also where they are not the expected ones."""

import pytest

from tests.studies.where_time_goes.results import expected_results
from tinynn.studies.where_time_goes.explanation import why
from tinynn.studies.where_time_goes.findings import answer, ran, seen
from tinynn.studies.where_time_goes.steps import (
    ELEMENTWISE,
    ENGINES,
    MEMORY,
    OPTIMIZER,
    PARTS,
    PRODUCTS,
    PYTHON,
)
from tinynn.studies.where_time_goes.study import STUDY
from tinynn.studies.where_time_goes.view import View
from tinynn.training.figure import save_figure


def words(text):
    return " ".join(text.split())


# ---- numbers


@pytest.mark.parametrize("network", ["MLP", "CNN"])
@pytest.mark.parametrize("engine", ENGINES)
def test_the_parts_are_the_whole(network, engine):
    view = View(expected_results())
    for batch in view.batches(network):
        parts = [view.part(network, batch, engine, part).value for part in PARTS]
        assert sum(parts) == pytest.approx(view.step(network, batch, engine).value)
        shares = [view.share(network, batch, engine, part).value for part in PARTS]
        assert sum(shares) == pytest.approx(1)


def test_parts_are_what_was_measured():
    view = View(expected_results())
    eager = {part: view.part("CNN", "64", "eager", part).value for part in PARTS}
    assert eager == pytest.approx(
        {PRODUCTS: 640e-6, ELEMENTWISE: 8e-6, OPTIMIZER: 20e-6, MEMORY: 205e-6, PYTHON: 150e-6}
    )
    compiled = {part: view.part("CNN", "64", "compiled", part).value for part in PARTS}
    assert compiled == pytest.approx(eager | {MEMORY: 0, PYTHON: 20e-6})
    assert view.over_products("CNN", "64", "compiled").value == pytest.approx(688 / 640)
    assert view.saving("CNN", "64").value == pytest.approx(1 - 688 / 1023, rel=1e-3)
    # the spread of the sets is a hundredth
    assert view.step("MLP", "16", "eager").error == pytest.approx(343e-6 * 0.01 / 3**0.5)


def test_actions_of_one_call_are_one():
    def twice(its, network, batch):
        its["calls"].insert(1, 30e-6)

    results = expected_results(twice)
    plan = results.measured["steps"]["MLP"]["16"]["plan"]
    plan["calls"].insert(1, dict(plan["calls"][0]))
    calls = View(results).calls("MLP")
    assert [call.number for call in calls] == [0, 1, 2, 3]
    assert calls[0].seconds == pytest.approx(0.6 * 160e-6 + 30e-6)


# ---- the products


def test_the_share_of_the_products_grows_with_the_batch():
    text = words(answer(expected_results()))
    assert "Matrix products are 46.6 ± 0.0% of an eager step of the MLP with 16 images" in text
    assert "is a matter of small batches" in text
    assert "The largest other part is Python and tape: 43.7% with 16 and 1.4% with 1,024." in text


def slower(its, seconds):
    """Adds to what Python takes of an eager step."""
    its["eager"] += seconds
    its["alone"]["eager"] += seconds


def with_page_faults(its, seconds):
    """Adds to what the system takes to find memory for an eager step."""
    its["alone"] = {"eager": its["eager"] + seconds, "faults": 50.0}


def test_a_share_that_falls_is_told_so():
    def burden(its, network, batch):
        if batch == 1024:
            slower(its, 0.1)

    assert "larger batches do not get rid of" in words(answer(expected_results(burden)))


def test_a_share_that_stays_is_told_so():
    def alike(its, network, batch):
        slower(its, its["parts"][PRODUCTS] * (1 + 20 * (its["hollow"] - 9e-6) / 9e-6))

    def even(its, network, batch):
        its["parts"] = {PRODUCTS: its["products"], ELEMENTWISE: 0.0, OPTIMIZER: 0.0}
        its["memory"] = 0.0
        its["eager"] = its["alone"]["eager"] = its["products"]
        alike(its, network, batch)

    assert "makes no clear difference to that" in words(answer(expected_results(even)))


def test_two_largest_parts_are_both_named():
    def hungry(its, network, batch):
        if batch == 1024:
            with_page_faults(its, 5e-3)

    text = words(answer(expected_results(hungry)))
    assert "The largest other part is Python and tape with 16 (43.7%) and fresh memory" in text


# ---- what compiling saves


def test_what_compiling_saves_is_told_with_its_parts():
    text = words(answer(expected_results()))
    assert "of a step of the MLP 39.4 ± 0.0% with 16 and 1.3 ± 0.0% with 1,024;" in text
    assert "It saves most in a step of the MLP with 16 images; of that step it does" in text
    assert "without 37.9 ± 0.0% Python and tape and 1.5 ± 0.0% fresh memory" in text


def test_a_compiled_step_that_is_slower_is_told_so():
    def burden(its, network, batch):
        its["compiled"] = 2 * its["eager"]
        its["rest_of_replay"] += its["eager"]

    text = words(answer(expected_results(burden)))
    assert "less than nothing (-100.0 ± 0.0%) with 16" in text
    assert "nothing to be told of where a saving comes from" in text


def test_a_saving_that_comes_and_goes_is_not_clear():
    factors = iter([0.5, 1.0, 1.6] * 4)

    def vary(its, network, batch):
        its["compiled"] = next(factors) * its["eager"]

    text = words(answer(expected_results(vary)))
    assert "nothing clear (-3.3 ± 31.8%)" in text


# ---- memory


def test_without_page_faults_the_step_is_the_one_measured_in_turn():
    def disturbed(its, network, batch):
        its["alone"] = {"eager": 2 * its["eager"], "faults": 0.5}

    view = View(expected_results(disturbed))
    assert view.step("MLP", "16", "eager").value == pytest.approx(343e-6)
    assert view.part("MLP", "16", "eager", MEMORY).value == pytest.approx(5e-6)


def test_page_faults_are_told():
    text = words(answer(expected_results()))
    assert "up to 20.0 ± 0.1% of an eager step: of the CNN with 64 images" in text
    assert "has to find 100 pages each time" in text
    text = words(why(expected_results()))
    assert "That makes 2.00 µs a page." in text
    assert "After one array of 32 MB had been freed" in text


def test_without_page_faults_none_are_told():
    def kept(its, network, batch):
        its["alone"] = {"eager": its["eager"], "faults": 0.0}

    results = expected_results(kept)
    assert "no part to speak of in any step" in words(answer(results))
    assert "Malloc kept the memory of every step" in words(why(results))

    def dear(its, network, batch):
        kept(its, network, batch)
        its["memory"] += its["eager"] / 4

    assert "although the system has to find no new page" in words(answer(expected_results(dear)))


def test_page_faults_that_take_no_time_are_told_so():
    def free(its, network, batch):
        with_page_faults(its, -1e-6)

    assert "But that took no time to speak of" in words(why(expected_results(free)))


# ---- the explanation


def test_python_in_cold_caches():
    assert "for want of cache" in words(why(expected_results()))

    def warm(its, network, batch):
        its["hollow"] = its["rest_of_replay"]

    assert "hardly get in Python's way" in words(why(expected_results(warm)))


def test_python_that_grows_with_the_images_is_told_so():
    def grow(its, network, batch):
        slower(its, 1e-3 * batch)

    assert "Python is paid by the step" in words(why(expected_results()))
    assert "Python is not paid by the step alone" in words(why(expected_results(grow)))


def test_products_of_few_rows():
    assert "Products of few rows are as fast as others" in words(why(expected_results()))

    def slow(its, network, batch):
        if batch == 16:
            its["products"] *= 1.5

    text = words(why(expected_results(slow)))
    assert "Products of few rows are slower" in text
    assert "0.2 with 16 and 0.3 with 1,024" in text


def test_the_rate_of_a_convolution_is_not_told():
    assert "The bare products of the CNN" not in words(why(expected_results()))


def test_the_optimizer():
    assert "is the same for any number of images" in words(why(expected_results()))

    def grow(its, network, batch):
        its["parts"][OPTIMIZER] *= batch

    assert "took longer the more images there were" in words(why(expected_results(grow)))


# ---- all of it


def test_every_part_of_a_step_is_in_the_table():
    text = seen(expected_results())
    for batch in ("16", "1,024"):
        for engine in ENGINES:
            assert f"| {batch} {engine}" in text
    assert "| 3    |" in text
    assert "4 calls\n0 linear dot" in text
    assert "7 turns" not in ran(expected_results())
    assert "5 turns" in ran(expected_results())


def test_calls_below_the_least_are_put_together():
    def tiny(its, network, batch):
        its["calls"][1] = 1e-9

    assert "1 other call " in seen(expected_results(tiny))
    assert "other call" not in seen(expected_results())


def test_the_figures_can_be_drawn(tmp_path):
    figures = STUDY.draw(expected_results())
    assert set(figures) == {"time.png", "calls.png"}
    for name, figure in figures.items():
        save_figure(figure, tmp_path / name)


def test_another_device_is_refused():
    from tinynn.studies.shared.workers import Workers

    with pytest.raises(ValueError, match="--device cpu"):
        STUDY.measure(STUDY.quick, 0, Workers(1, device="cuda", say=lambda line: None))

"""The report says what the numbers say, also where they are not the expected ones."""

import pytest

from tests.studies.quantization.results import expected_results
from tinynn.studies.quantization.explanation import why
from tinynn.studies.quantization.findings import answer, ran, seen
from tinynn.studies.quantization.layers import KINDS
from tinynn.studies.quantization.outliers import EVERY
from tinynn.studies.quantization.settings import TRAINED
from tinynn.studies.quantization.study import STUDY
from tinynn.studies.quantization.view import View


def words(text):
    return " ".join(text.split())


def told(change=lambda measured: None, **settings):
    return words(answer(expected_results(change, **settings)))


def test_what_is_lost():
    text = told()
    assert "within 1% in `fp16`, `bf16`, `int8-32`, `int8` and `stored`." in text
    assert "It rises by 5.13 ± 0.01% in `int4` and 22.14 ± 0.01% in `int4-symmetric`." in text
    assert "In `int8` it rises by 0.80 ± 0.01%: 0.60 ± 0.01% with weights rounded" in text
    assert "clear is what comes of the weights and the inputs." in text


def test_eight_bits_that_lose_more_than_one_percent():
    def worse(measured):
        measured["formats"]["int8"]["losses"] = [3.52] * 3

    text = told(worse)
    assert "within 1% in `fp16`, `bf16`, `int8-32` and `stored`. It rises by 2.02" in text

    def noisy(measured):
        measured["formats"]["int8"]["losses"] = [3.4, 3.5, 3.6]
        measured["exact_inputs"]["int8"]["losses"] = [3.6, 3.5, 3.4]

    assert "neither is clear." in told(noisy)

    def all_lost(measured):
        for format, found in measured["formats"].items():
            if format != "fp32":
                found["losses"] = [4.0] * 3

    assert "within 1% in none of the formats." in told(all_lost)


def test_what_is_saved():
    text = told()
    assert "540.0 MB in `fp32` (15.6 tokens a second)" in text
    assert "fastest in `int4-symmetric`, 4.27 times as fast as in `fp32`" in text


def test_a_larger_network_in_the_same_memory():
    text = told()
    assert "In the 1.800 MB of a network of width 96 in `fp32` one of width 160 fits in" in text
    assert "fits in `int8-32` (1.333 MB), and its loss is 0.198 ± 0.008 nats lower" in text
    assert "In the 0.900 MB of a network of width 96 in `fp16` one of width 160 fits in" in text
    assert "in `int4` (0.778 MB), and its loss is 0.150 ± 0.008 nats lower" in text

    def no_better(measured):
        for run in measured["networks"]["160"]:
            run["int4"]["loss"] = run["int4-symmetric"]["loss"] = 2.0

    assert "in `int4` (0.778 MB), and its loss is 0.200 ± 0.006 nats higher" in told(no_better)

    def too_large(measured):
        for run in measured["networks"]["160"]:
            for found in run.values():
                found["bytes"] = 1e9

    assert "one of width 160 fits in no format." in told(too_large)

    def alike(measured):
        measured["networks"]["160"] = measured["networks"]["96"]

    assert "its loss is not clearly another" in told(alike)


def test_which_layers_suffer():
    text = told()
    assert "*down* suffers most from `int4-symmetric`" in text
    assert "worst single layers are down of layer 3 (12 mnat), down of layer 2 (11 mnat)" in text
    assert "these have 42% of what all single layers lose" in text
    assert "costs 10 mnat as embedding and 30 mnat as scores" in text


def test_what_tells_which_layers_suffer():
    text = told()
    assert "Which of the *down* layers suffer goes with the error of the layer's output and" in text
    assert "+1.00 for the error of the layer's output, +1.00 for the peak of its input" in text
    assert "-1.00 for the peaks of its weights. For the peak of the input it is +1.00 in" in text

    def turned(measured):
        for layer in measured["layers"]:
            for kind in KINDS:
                layer[kind]["error"] = layer[kind]["input_peak"] = 1 / layer[kind]["divergence"]

    assert "*down* layers suffer goes with nothing that was looked at" in told(turned)


@pytest.mark.parametrize(
    ("share", "verdict"),
    [
        (0.4, "60% less (as many columns at random: 2% less): outliers kept exact give most"),
        (0.9, "10% less (as many columns at random: 2% less): outliers kept exact give a part"),
        (1.1, "10% more (as many columns at random: 2% less): outliers kept exact give nothing"),
    ],
)
def test_what_outliers_kept_exact_give_back(share, verdict):
    def change(measured):
        weights = measured["outliers"][EVERY]["weights"]
        weights["largest inputs"] = share * weights["none"]

    assert verdict in told(change)


def test_what_a_file_has_lost_before_is_told():
    text = words(ran(expected_results()))
    assert "210 in `Q4_1` and 1 in `Q8_0` are stored" in text
    assert "what was lost before is not seen here" in text
    assert "Its file" not in words(ran(expected_results(model=TRAINED)))


def test_tables_hold_what_was_measured():
    text = seen(expected_results())
    assert "| int8           | 136.0 MB |" in text
    assert "| down               |" in text or "| down                       |" in text
    view = View(expected_results())
    assert view.speedup("written", "fp16") == pytest.approx(64 / 34)
    assert view.read_a_second("fp32") == pytest.approx(540e6 / 64e-3)
    assert view.given_back(EVERY, "inputs", "group", "token") == pytest.approx(0.9)


def test_why_follows_the_numbers():
    text = words(why(expected_results()))
    assert "takes 7.1 times fewer bytes and writes 4.3 times as fast" in text
    assert "as scores its rounding costs 30 mnat, as embedding 10 mnat" in text
    assert "80% smaller; scales for groups of columns make it 90% smaller: an outlier" in text

    def slower(measured):
        measured["speed"]["written"]["int4-symmetric"] = measured["speed"]["written"]["fp32"]

    assert "writing has gained no more from few bits" in words(why(expected_results(slower)))


def test_figures_are_drawn_from_results_alone():
    figures = STUDY.draw(expected_results())
    assert sorted(figures) == [
        *("causes.png", "formats.png", "layers.png", "outliers.png", "sizes.png")
    ]
    shown = [axes.get_legend_handles_labels()[1][-1] for axes in figures["causes.png"].axes]
    assert shown == ["down: +1.00", "down: +1.00", "down: -1.00"]

"""What the report says of results that are made up, also of ones that nobody expects."""

from dataclasses import asdict

import pytest

from tinynn.studies.kv_cache.explanation import why
from tinynn.studies.kv_cache.findings import answer, ran, seen
from tinynn.studies.kv_cache.study import STUDY
from tinynn.studies.kv_cache.task import Settings
from tinynn.studies.kv_cache.view import View
from tinynn.studies.kv_cache.ways import CACHED, RECOMPUTED, WAYS, WINDOWED
from tinynn.studies.shared.study import Results
from tinynn.training.figure import save_figure

LENGTHS = (16, 64, 256, 1024)
# Seconds and bytes at n words.
SECONDS = {
    RECOMPUTED: lambda n: 1e-6 * n**1.5,
    CACHED: lambda n: 1e-5 * n**0.5,
    WINDOWED: lambda n: 2e-5,
}
HELD = {RECOMPUTED: lambda n: 0.0, CACHED: lambda n: 2048.0 * n, WINDOWED: lambda n: 131072.0}


def expected_results(change=lambda its, way, length: None, **measured):
    """Results whose numbers are those above, changed as the test wants."""
    lengths = {}
    for n in LENGTHS:
        lengths[str(n)] = {"expected": "fox", "speedup": 1e-6 * n**1.5 / (1e-5 * n**0.5)}
        for way in WAYS:
            its = {
                "seconds": [SECONDS[way](n) * factor for factor in (0.99, 1.0, 1.01)],
                "held": HELD[way](n),
                "working": 1000.0 * n if way == RECOMPUTED else 2e4,
                "word": "fox",
                "apart": 0.0 if way == RECOMPUTED else 1.5e-6,
            }
            change(its, way, n)
            lengths[str(n)][way] = its
    found = {
        "parameters": 1000,
        "vocabulary": 38,
        "text": 52,
        "loss": 0.0123,
        "prompt": "the lazy",
        "continuations": dict.fromkeys(WAYS, "dog . pack my box"),
        "lengths": lengths,
    }
    return Results(asdict(Settings(lengths=LENGTHS)), found | measured, {})


def words(text):
    return " ".join(text.split())


def test_growth_is_a_power_of_the_length():
    view = View(expected_results())
    assert view.longer == [64, 256, 1024]
    for way, power in ((RECOMPUTED, 1.5), (CACHED, 0.5), (WINDOWED, 0.0)):
        assert view.growth(way).value == pytest.approx(power, abs=1e-9)
        assert view.growth(way).error == pytest.approx(0, abs=1e-9)
    assert view.growth_of_bytes(CACHED, "held") == pytest.approx(1)
    assert view.seconds(CACHED, 64) == pytest.approx(80e-6)


def test_the_same_words_are_told():
    text = words(answer(expected_results()))
    assert (
        '"The lazy dog." With a cache and without, the text goes on with the same 5 words' in text
    )
    assert "the logits differ by 1.5e-06 at most" in text
    assert "A window of 64 words and 4 sinks gives these words as well." in text


def test_words_that_part_are_told():
    others = {
        RECOMPUTED: "dog . pack my box",
        CACHED: "dog . pack a box",
        WINDOWED: "dog , pack my box",
    }
    text = words(answer(expected_results(continuations=others)))
    assert "goes on as without for 3 words, and then in another way" in text
    assert "gives the same for 1 word, and then others" in text


def test_another_word_after_a_long_text_is_told():
    def err(its, way, length):
        if length == 256 and way == CACHED:
            its["word"] = "zebras"

    assert "but after 256 words another word follows" in words(answer(expected_results(err)))
    text = words(seen(expected_results(err)))
    assert "follows with a cache on all but those of 256 words and with a sliding window on" in text


def test_what_is_saved_is_told():
    text = words(answer(expected_results()))
    assert "The longer the text, the more the cache saves: after 1,024 words the next one" in text
    assert "takes 32.8 ms without a cache and 320 µs with one (102.4 times as fast)" in text
    assert "power of 1.50 ± 0.00 without a cache, 0.50 ± 0.00 with one, and 0.00 ± 0.00" in text


def test_a_cache_that_saves_no_more_in_longer_texts_is_told():
    def alike(its, way, length):
        its["seconds"] = [1e-3 * length] * 3

    assert "is not clear in this run" in words(answer(expected_results(alike)))


def test_what_is_held_is_told():
    text = words(answer(expected_results()))
    assert "after 1,024 words the cache holds 2.1 MB, a window 131.1 kB" in text
    assert "1.0 MB are taken for a moment" in text

    def wide(its, way, length):
        its["held"] = 2048.0 * length

    assert "saves nothing of it" in words(answer(expected_results(wide)))


def test_what_a_word_with_a_cache_is_made_of():
    assert "has become the greater part" in words(why(expected_results()))

    def even(its, way, length):
        if way == CACHED:
            its["seconds"] = [1e-3] * 3

    assert "most of it is what calls cost" in words(why(expected_results(even)))


def test_every_length_is_in_the_tables():
    text = seen(expected_results())
    assert sum(line.startswith("| 1,024 ") for line in text.splitlines()) == 2
    assert "- with a cache: Dog. pack my box" in text
    assert "0.0123 nats" in ran(expected_results())


def test_texts_as_long_as_those_of_the_training():
    results = expected_results()
    results.settings["trained_words"] = 1024
    assert "No text was longer than those of the training." in seen(results)


def test_the_figure_can_be_drawn(tmp_path):
    figures = STUDY.draw(expected_results())
    assert set(figures) == {"lengths.png"}
    for name, figure in figures.items():
        save_figure(figure, tmp_path / name)

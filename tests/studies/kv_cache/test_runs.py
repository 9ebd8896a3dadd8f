"""The three ways: the same words, the bytes that are counted, and what is measured of each."""

import json

import numpy as np
import pytest

from tinynn.studies.kv_cache.runs import Task, continuations, run, trained
from tinynn.studies.kv_cache.study import STUDY
from tinynn.studies.kv_cache.task import PROMPT, TEXT, VOCABULARY, sentence, words_of
from tinynn.studies.kv_cache.ways import CACHED, RECOMPUTED, WAYS, WINDOWED, peak_bytes, way_of
from tinynn.studies.shared.workers import Place, Workers

SETTINGS = STUDY.quick
PLACE = Place(None, "cpu")


@pytest.fixture(scope="module")
def network():
    return trained(SETTINGS, 0)[0]


def test_the_text_comes_round():
    assert sentence(words_of(0, len(TEXT))) == " ".join(TEXT)
    assert words_of(3, 5) == words_of(3 + len(TEXT), 5)
    assert sentence(words_of(0, 9)) == f"{PROMPT} dog"


def test_the_training_learns_the_text():
    _, losses = trained(SETTINGS, 3)
    assert losses[0] == pytest.approx(np.log(len(VOCABULARY)), rel=0.3)
    assert losses[-1] < 0.2
    assert trained(SETTINGS, 3)[1] == losses


def test_all_ways_go_on_with_the_text(network):
    expected = sentence(words_of(len(PROMPT.split()), SETTINGS.generated))
    assert expected.startswith("dog .")
    assert continuations(network, SETTINGS) == dict.fromkeys(WAYS, expected)


def test_a_cache_changes_no_logits_and_a_window_does(network):
    """Word by word, and with several at once, and with a word taken back."""
    words = words_of(5, 60)
    plain = way_of(RECOMPUTED, network, SETTINGS, 60)
    for pieces in ((60,), (1, 2, 3, 50, 60), range(1, 61, 2)):
        cached = way_of(CACHED, network, SETTINGS, 60)
        for count in pieces:
            found = cached.logits(words[:count])
            np.testing.assert_allclose(found, plain.logits(words[:count]), rtol=0, atol=2e-5)
            cached.forget(1)
            np.testing.assert_allclose(cached.logits(words[:count]), found, rtol=0, atol=2e-5)
    windowed = way_of(WINDOWED, network, SETTINGS, 60)
    np.testing.assert_allclose(
        windowed.logits(words[:20]), plain.logits(words[:20]), rtol=0, atol=2e-5
    )
    assert np.abs(windowed.logits(words) - found).max() > 1e-3


@pytest.mark.parametrize(("words", "blocks"), [(1, 1), (16, 1), (17, 2), (150, 10)])
def test_what_a_cache_holds(network, words, blocks):
    cached = way_of(CACHED, network, SETTINGS, 160)
    cached.logits(words_of(0, words))
    block = 2 * SETTINGS.layers * SETTINGS.width * 16 * 4
    assert cached.held() == blocks * block
    windowed = way_of(WINDOWED, network, SETTINGS, 160)
    windowed.logits(words_of(0, words))
    # the sinks, the window before the last piece, which is as long at most, and a block begun
    assert windowed.held() <= min(blocks, 1 + 2 * SETTINGS.window // 16 + 1) * block
    assert way_of(RECOMPUTED, network, SETTINGS, 160).held() == 0


def test_memory_for_a_moment():
    assert 1_000_000 <= peak_bytes(lambda: [np.ones(500_000, np.uint8) for _ in range(2)]) < 1.1e6
    assert peak_bytes(lambda: None) < 1e4


def test_what_is_measured_is_plain():
    result = run(PLACE, Task(SETTINGS, 0))
    json.dumps(result, allow_nan=False)
    assert list(result["lengths"]) == [str(length) for length in SETTINGS.lengths]
    for found in result["lengths"].values():
        assert found[RECOMPUTED]["word"] == found[CACHED]["word"]
        assert found[CACHED]["apart"] < 2e-5
        assert all(len(found[way]["seconds"]) == SETTINGS.rounds for way in WAYS)
    longest = result["lengths"][str(SETTINGS.lengths[-1])]
    assert longest[RECOMPUTED]["working"] > 10 * longest[CACHED]["working"]
    assert longest[WINDOWED]["held"] < longest[CACHED]["held"]


def test_another_device_is_refused():
    with pytest.raises(ValueError, match="--device cpu"):
        STUDY.measure(STUDY.quick, 0, Workers(1, device="cuda", say=lambda line: None))

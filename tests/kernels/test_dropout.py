"""Dropout and its random numbers: published answers, statistics, and what they depend on."""

import numpy as np
import pytest

from tests.kernels.comparison import DTYPES, kernel_of, run_both
from tinynn.backend.kernel_table import reference_of
from tinynn.backend.reference.philox import philox

FIND = pytest.mark.parametrize("find", [kernel_of, reference_of], ids=["kernel", "reference"])
COUNTERS = {"key": 2**63 + 12345, "stream": 7, "step": 11, "offset": 0}

# Known answers of Random123 1.14 for philox4x32 with 10 rounds: counter, key, result.
ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (
        (0xFFFFFFFF,) * 4,
        (0xFFFFFFFF,) * 2,
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "answer"), ANSWERS)
def test_philox_gives_the_published_answers(counter, key, answer):
    words = tuple(np.array([word], np.uint64) for word in counter)
    result = philox(words, key[0] + (key[1] << 32))
    assert tuple(int(word[0]) for word in result) == answer


@FIND
def test_elements_are_dropped_by_the_published_words(find):
    """Counter 0, key 0: the first four elements, at a threshold between two of their words."""
    words = ANSWERS[0][2]
    for p in (0.5, 0.65, 0.9):
        out = find("dropout")(np.ones((1, 4)), p=p, key=0, stream=0, step=0)
        np.testing.assert_array_equal(out[0] != 0, [word / 2**32 >= p for word in words])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(0, 3), (3, 0), (1, 1), (5, 3), (2, 4), (3, 5, 7), (9,), (), (2, 1021)]
)
def test_kernel_is_the_reference_bit_for_bit(shape, dtype):
    x = np.asarray(np.random.default_rng(0).standard_normal(shape), dtype)
    for counters in (
        COUNTERS,
        {"key": 0, "stream": 2**32 + 1, "step": 2**33 + 5, "offset": 2**32 - 2},
    ):
        (ours,), (theirs,) = run_both("dropout", x, p=0.3, **counters)
        assert ours.dtype == theirs.dtype == dtype
        np.testing.assert_array_equal(ours, theirs)


@FIND
@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_drops_with_probability_p_and_keeps_the_mean(p, find):
    out = find("dropout")(np.ones((400, 500), np.float32), p=p, **COUNTERS)
    # Five standard deviations of a mean of 200,000 draws.
    bound = 5 * (p * (1 - p) / out.size) ** 0.5
    assert abs((out == 0).mean() - p) < bound
    np.testing.assert_allclose(np.unique(out), [0, 1 / (1 - p)], rtol=1e-6)


@FIND
def test_p_of_0_and_1(find):
    x = np.random.default_rng(0).standard_normal((3, 5))
    np.testing.assert_array_equal(find("dropout")(x, p=0.0, **COUNTERS), x)
    np.testing.assert_array_equal(find("dropout")(x, p=1.0, **COUNTERS), 0 * x)


@FIND
def test_samples_divided_into_calls_see_the_same_numbers(find):
    x = np.ones((10, 7), np.float32)
    whole = find("dropout")(x, p=0.5, **COUNTERS)
    parts = [
        find("dropout")(x[start:stop], p=0.5, **{**COUNTERS, "offset": start})
        for start, stop in [(0, 3), (3, 4), (4, 10)]
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@FIND
@pytest.mark.parametrize("changed", ["key", "stream", "step", "offset"])
def test_each_counter_changes_the_numbers(changed, find):
    x = np.ones((4, 64), np.float32)
    first = find("dropout")(x, p=0.5, **COUNTERS)
    second = find("dropout")(x, p=0.5, **{**COUNTERS, changed: COUNTERS[changed] + 1})
    # Independent draws agree in half of 256 places, with a standard deviation of 8.
    assert 80 < (first == second).sum() < 176


@FIND
def test_a_step_may_be_an_array_of_one_element(find):
    x = np.ones((4, 9), np.float32)
    out = find("dropout")(x, p=0.5, **{**COUNTERS, "step": np.array([11])})
    np.testing.assert_array_equal(out, find("dropout")(x, p=0.5, **COUNTERS))


def test_16_bit_floats_lose_the_same_elements():
    x = np.ones((4, 9))
    assert kernel_of("dropout")(x.astype(np.float16), p=0.5, **COUNTERS) is NotImplemented
    out = reference_of("dropout")(x.astype(np.float16), p=0.5, **COUNTERS)
    assert out.dtype == np.float16
    np.testing.assert_array_equal(out, kernel_of("dropout")(x, p=0.5, **COUNTERS))

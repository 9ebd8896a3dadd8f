"""How a token is chosen, against probabilities computed one by one."""

import numpy as np
import pytest

from tinynn.generation.sampling import Sampling, log_probabilities, uniform

SCORES = np.log(np.array([0.05, 0.4, 0.1, 0.3, 0.15], np.float32))
DRAWS = np.linspace(0, 1, 20_000, endpoint=False)


def shares(scores=SCORES, **options):
    """How often each token is chosen, for draws that are spread evenly."""
    sampling = Sampling(**{"temperature": 1.0} | options)
    found = [sampling.choose(scores, [], [], draw) for draw in DRAWS]
    return np.bincount(found, minlength=len(scores)) / len(DRAWS)


def normalized(values):
    return np.array(values) / sum(values)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.05, 0.4, 0.1, 0.3, 0.15]),
        ({"temperature": 0.5}, normalized([0.05**2, 0.4**2, 0.1**2, 0.3**2, 0.15**2])),
        ({"top_k": 2}, normalized([0, 0.4, 0, 0.3, 0])),
        ({"top_k": 9}, [0.05, 0.4, 0.1, 0.3, 0.15]),
        ({"top_p": 0.69}, normalized([0, 0.4, 0, 0.3, 0])),
        ({"top_p": 0.75}, normalized([0, 0.4, 0, 0.3, 0.15])),
        ({"top_p": 1e-9}, [0, 1, 0, 0, 0]),
        ({"min_p": 0.3}, normalized([0, 0.4, 0, 0.3, 0.15])),
        ({"min_p": 1.0}, [0, 1, 0, 0, 0]),
        ({"top_k": 4, "top_p": 0.8, "min_p": 0.3}, normalized([0, 0.4, 0, 0.3, 0.15])),
        ({"temperature": 0.0}, [0, 1, 0, 0, 0]),
    ],
)
def test_how_often_tokens_are_drawn(options, expected):
    np.testing.assert_allclose(shares(**options), expected, atol=1e-3)


def test_the_most_probable_come_first_for_small_draws():
    sampling = Sampling(temperature=1.0)
    order = [sampling.choose(SCORES, [], [], draw) for draw in (0.0, 0.5, 0.75, 0.9, 0.99)]
    assert order == [1, 3, 4, 2, 0]


def test_equal_scores_are_taken_in_order():
    scores = np.zeros(6, np.float32)
    assert Sampling().choose(scores, [], [], 0.7) == 0
    np.testing.assert_allclose(shares(scores, top_k=2), [0.5, 0.5, 0, 0, 0, 0], atol=1e-3)


def test_penalties():
    scores = np.array([2.0, 1.9, -1.0, -1.1], np.float32)
    repeated = Sampling(repetition_penalty=2.0)
    assert repeated.choose(scores, [0], [], 0) == 1
    assert repeated.choose(scores, [0], [1], 0) == 0
    assert repeated.choose(np.array([-1.0, -1.1], np.float32), [0, 0], [], 0) == 1
    present = Sampling(presence_penalty=0.5)
    assert present.choose(scores, [0], [], 0) == 0
    assert present.choose(scores, [], [0, 0], 0) == 1
    np.testing.assert_array_equal(scores, np.array([2.0, 1.9, -1.0, -1.1], np.float32))


def test_draws_are_even_and_their_own():
    draws = np.array([[uniform(7, stream, step) for step in range(200)] for stream in range(50)])
    assert len(np.unique(draws)) == draws.size
    counts, _ = np.histogram(draws, 20, (0, 1))
    expected = draws.size / 20
    assert ((counts - expected) ** 2 / expected).sum() < 43.8  # chi squared, 19, 0.999
    assert uniform(7, 3, 5) == draws[3, 5]
    assert uniform(8, 3, 5) != draws[3, 5]


def test_log_probabilities():
    np.testing.assert_allclose(np.exp(log_probabilities(SCORES + 700)), np.exp(SCORES), rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"temperature": -1}, "temperature must be a number from 0 on, got -1"),
        ({"temperature": float("nan")}, "temperature must be .* got nan"),
        ({"top_k": 0}, "top_k must be None or at least 1, got 0"),
        ({"top_p": 0}, "top_p must be above 0 and at most 1, got 0"),
        ({"min_p": 1.5}, "min_p must be from 0 to 1, got 1.5"),
        ({"repetition_penalty": 0}, "repetition_penalty must be a number above 0, got 0"),
        ({"presence_penalty": float("inf")}, "presence_penalty must be a number, got inf"),
    ],
)
def test_what_is_refused(options, says):
    with pytest.raises(ValueError, match=f"^generate: {says}$"):
        Sampling(**options)

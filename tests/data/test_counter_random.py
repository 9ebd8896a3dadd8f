"""Random numbers as functions of their counters."""

from __future__ import annotations

import numpy as np
import pytest

from tinynn.data.counter_random import permutation, random_bits, uniform


def splitmix64(state, count):
    """The published generator (Steele, Lea, Flood 2014), in Python's integers."""
    mask = 2**64 - 1
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & mask
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & mask
        yield mixed ^ (mixed >> 31)


@pytest.mark.parametrize("seed", [0, 1234567, 2**64 - 1])
def test_mixing_is_splitmix64s(seed):
    (first,) = splitmix64(seed, 1)
    assert random_bits(seed).tolist() == [first]
    (second,) = splitmix64((first + 7) % 2**64, 1)
    assert random_bits(seed, 7).tolist() == [second]


def test_published_values():
    """The first outputs for seed 1234567 on the reference implementation's page of examples."""
    assert list(splitmix64(1234567, 2)) == [6457827717110365317, 3203168211198807973]


def test_a_number_does_not_depend_on_its_neighbours():
    whole = uniform(5, 1, np.arange(100))
    np.testing.assert_array_equal(uniform(5, 1, np.arange(40, 60)), whole[40:60])
    np.testing.assert_array_equal(uniform(5, 1, np.array([99, 3])), whole[[99, 3]])


def test_numbers_differ_by_every_counter():
    drawn = random_bits(0, np.arange(4)[:, None, None], np.arange(50)[:, None], np.arange(50))
    assert len(np.unique(drawn)) == drawn.size
    assert not np.intersect1d(drawn, random_bits(1, 0, np.arange(100), 0)).size


def test_numbers_are_uniform_and_uncorrelated():
    """Moments and lag correlations of 10,000 numbers, within 5 standard errors."""
    grid = uniform(0, np.arange(100)[:, None], np.arange(100))
    error = 5 / np.sqrt(grid.size)
    assert grid.min() >= 0
    assert grid.max() < 1
    assert abs(grid.mean() - 1 / 2) < error * np.sqrt(1 / 12)
    centred = (grid - 1 / 2) / np.sqrt(1 / 12)
    assert abs((centred[1:] * centred[:-1]).mean()) < error
    assert abs((centred[:, 1:] * centred[:, :-1]).mean()) < error
    counts, _ = np.histogram(grid, bins=50, range=(0, 1))
    assert np.abs(counts - 200).max() < 5 * np.sqrt(200)


@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_permutation(count):
    order = permutation(count, 3, 1, 2)
    assert order.dtype == np.int64
    np.testing.assert_array_equal(np.sort(order), np.arange(count))
    if count == 1000:
        assert (order != np.arange(count)).mean() > 0.9
        assert (order != permutation(count, 3, 1, 3)).mean() > 0.9

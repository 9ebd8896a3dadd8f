"""Splits are disjoint, complete and decided by their seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.folders import random_dataset
from tinynn.data import Dataset, split, subset

WHOLE = Dataset(
    np.arange(300, dtype=np.uint16).view(np.uint8).reshape(300, 1, 2), np.arange(300) % 10
)


def numbers(dataset):
    """The places in WHOLE that a part's images came from."""
    return np.ascontiguousarray(dataset.images).view(np.uint16).ravel()


@given(st.lists(st.integers(1, 100), min_size=1, max_size=3), st.integers(0, 2**64 - 1))
def test_parts_are_disjoint_and_of_their_size(sizes, seed):
    parts = split(WHOLE, sizes, seed)
    assert [len(part) for part in parts] == sizes
    together = np.concatenate([numbers(part) for part in parts])
    assert len(np.unique(together)) == sum(sizes)
    for part in parts:
        np.testing.assert_array_equal(part.labels, numbers(part) % 10)
        assert part.classes == WHOLE.classes


def test_a_whole_split_keeps_each_classs_count():
    train, validation = split(WHOLE, (250, 50))
    counts = np.bincount(train.labels, minlength=10) + np.bincount(validation.labels, minlength=10)
    assert counts.tolist() == [30] * 10


def test_every_class_has_about_its_share():
    """A tenth of 20,000 is drawn: each class's count is hypergeometric, here within 5 sigma."""
    dataset = Dataset(np.zeros((20_000, 1, 1), np.uint8), np.arange(20_000) % 10)
    counts = np.bincount(subset(dataset, 2_000).labels, minlength=10)
    sigma = np.sqrt(2_000 * 0.1 * 0.9 * (1 - 0.1))
    assert np.abs(counts - 200).max() < 5 * sigma


def test_the_seed_decides():
    one, same, other = (numbers(subset(WHOLE, 100, seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert set(one) != set(other)
    # Neither the first samples nor any other regular choice.
    assert len(set(np.diff(np.sort(one)))) > 2


def test_parts_own_their_images():
    dataset = random_dataset(10)
    (part,) = split(dataset, (10,))
    part.images[:] = 0
    assert dataset.images.any()


@pytest.mark.parametrize("sizes", [(), (0,), (-1, 5), (301,), (200, 101)])
def test_sizes_that_do_not_fit_are_refused(sizes):
    with pytest.raises(ValueError, match="split: sizes"):
        split(WHOLE, sizes)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seeds_out_of_range_are_refused(seed):
    with pytest.raises(ValueError, match=f"seed: got {seed}"):
        split(WHOLE, (1,), seed)

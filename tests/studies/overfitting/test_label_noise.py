"""Labels are made wrong as often as asked, and evenly, and nothing else is changed."""

import numpy as np
import pytest

from tests.training.drawn_digits import drawn_dataset
from tinynn.data import Dataset
from tinynn.studies.overfitting.label_noise import mislabel

DIGITS = drawn_dataset(300)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.4, 1.0])
def test_the_share_that_was_asked_for_is_wrong(share):
    noisy = mislabel(DIGITS, share, seed=3)
    assert (noisy.labels != DIGITS.labels).sum() == round(300 * share)
    assert noisy.labels.min() >= 0
    assert noisy.labels.max() <= 9


def test_images_and_the_dataset_itself_stay_as_they_were():
    before = DIGITS.labels.copy()
    noisy = mislabel(DIGITS, 0.5, seed=0)
    np.testing.assert_array_equal(noisy.images, DIGITS.images)
    np.testing.assert_array_equal(DIGITS.labels, before)
    assert noisy.classes == DIGITS.classes


def test_the_seed_decides():
    first, again, other = (mislabel(DIGITS, 0.4, seed).labels for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_more_noise_keeps_the_wrong_labels_of_less():
    less, more = mislabel(DIGITS, 0.2, seed=5), mislabel(DIGITS, 0.4, seed=5)
    is_wrong = less.labels != DIGITS.labels
    np.testing.assert_array_equal(more.labels[is_wrong], less.labels[is_wrong])


def test_every_other_class_is_as_likely():
    size = 90_000
    zeros = Dataset(np.zeros((size, 1, 1), np.uint8), np.zeros(size, int))
    counts = np.bincount(mislabel(zeros, 1.0, seed=0).labels, minlength=10)
    assert counts[0] == 0
    # The standard deviation of a count is 94.
    assert abs(counts[1:] - 10_000).max() < 500


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_is_a_share(share):
    with pytest.raises(ValueError, match="expected 0 to 1"):
        mislabel(DIGITS, share, seed=0)

"""Augmentation: an affine map applied rightly, and random numbers that belong to the image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.folders import random_images
from tinynn.backend.devices import NUMPY, Device, backend_for
from tinynn.backend.kernel_table import reference_of
from tinynn.data import RandomAffine
from tinynn.data.augmentation import affine_matrices

INDICES = np.arange(8)


@pytest.fixture(params=["kernel", "reference", "fake"], scope="module")
def affine_resample(request):
    """The compiled kernel, what it is to compute in NumPy, and that on the strict fake of CuPy."""
    if request.param == "kernel":
        return NUMPY.kernels.affine_resample
    reference = reference_of("affine_resample")
    if request.param == "reference":
        return reference
    fake = backend_for(Device("fake"))
    return lambda *arrays: fake.to_host(reference(*(fake.from_host(x, None) for x in arrays)))


@pytest.fixture(scope="module")
def resample(affine_resample):
    def function(images, degrees=0.0, right=0.0, down=0.0, scale=1.0):
        values = [np.full(len(images), value) for value in (degrees, right, down, scale)]
        return affine_resample(images, affine_matrices(*values))

    return function


def blob(centre_y, centre_x):
    """A smooth spot, so that resampling it loses little."""
    y, x = np.mgrid[:28, :28]
    return (255 * np.exp(-((y - centre_y) ** 2 + (x - centre_x) ** 2) / 10)).astype(np.uint8)


def centre_of_mass(image):
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    weight = image / image.sum(dtype=float)
    return (y * weight).sum(), (x * weight).sum()


@given(st.integers(1, 9), st.integers(1, 9))
def test_the_identity_is_exact(resample, height, width):
    images = random_images(3, height=height, width=width)
    np.testing.assert_array_equal(resample(images), images, strict=True)


@given(st.integers(-30, 30), st.integers(-30, 30))
def test_whole_shifts_are_exact(resample, right, down):
    images = random_images(2)
    moved = np.zeros_like(images)
    rows, columns = max(28 - abs(down), 0), max(28 - abs(right), 0)
    to_y, to_x, from_y, from_x = max(down, 0), max(right, 0), max(-down, 0), max(-right, 0)
    moved[:, to_y : to_y + rows, to_x : to_x + columns] = images[
        :, from_y : from_y + rows, from_x : from_x + columns
    ]
    np.testing.assert_array_equal(resample(images, right=right, down=down), moved)


def test_half_shifts_are_averages(resample):
    image = np.array([[[0, 100, 50]]], np.uint8)
    assert resample(image, right=0.5).tolist() == [[[0, 50, 75]]]
    assert resample(image, right=-0.5).tolist() == [[[50, 75, 25]]]


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_are_exact(resample, quarters):
    images = random_images(4)
    turned = np.rot90(images, quarters, axes=(1, 2))  # counter-clockwise, as it is displayed
    # The sine of a quarter turn is 1, but its cosine is 6e-17 and no number is far from an integer.
    np.testing.assert_allclose(
        resample(images, degrees=90 * quarters).astype(int), turned.astype(int), atol=1
    )


def test_a_spot_goes_where_it_should(resample):
    """Out of the centre by 3 to the right; scaled, turned counter-clockwise, then shifted."""
    (image,) = resample(blob(13.5, 16.5)[None], degrees=30, right=2, down=1, scale=1.2)
    angle, distance = np.deg2rad(30), 3 * 1.2
    expected = 13.5 + 1 - distance * np.sin(angle), 13.5 + 2 + distance * np.cos(angle)
    np.testing.assert_allclose(centre_of_mass(image), expected, atol=0.05)


@given(st.floats(-20, 20), st.floats(-3, 3), st.floats(-3, 3), st.floats(0.8, 1.25))
def test_mass_is_kept_up_to_the_scale(resample, degrees, right, down, scale):
    image = blob(14, 12)
    (result,) = resample(image[None], degrees, right, down, scale)
    expected = image.sum(dtype=float) * scale**2
    assert result.sum(dtype=float) == pytest.approx(expected, rel=0.03)


@given(
    matrix=st.lists(st.floats(-2, 2, width=32), min_size=6, max_size=6),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
)
def test_resampling_is_scipys(affine_resample, matrix, height, width):
    ndimage = pytest.importorskip("scipy.ndimage")
    image = random_images(1, height=height, width=width)
    matrix = np.array(matrix, np.float32).reshape(2, 3)
    matrix[:, 2] *= 5
    result = affine_resample(image, matrix[None])
    centre = np.array([height - 1, width - 1]) / 2
    linear = matrix[:, :2].astype(float)
    expected = ndimage.affine_transform(
        image[0].astype(float),
        linear,
        offset=matrix[:, 2] + centre - linear @ centre,
        order=1,
        mode="grid-constant",
    )
    np.testing.assert_allclose(result[0], expected, atol=0.51)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_absurd_maps_give_background(affine_resample, value):
    images = random_images(2)
    matrices = np.full((2, 2, 3), value, np.float32)
    with np.errstate(all="ignore"):
        result = affine_resample(images, matrices)
    assert result.shape == images.shape
    assert not result.any()


def test_an_image_is_the_same_in_any_batch():
    images, augment = random_images(8), RandomAffine()
    whole = augment(images, INDICES, seed=1, epoch=2)
    for order in ([3], [7, 0], [5, 4, 3, 2, 1]):
        part = augment(images[order], INDICES[order], seed=1, epoch=2)
        np.testing.assert_array_equal(part, whole[order])


def test_seed_epoch_and_index_decide():
    images, augment = random_images(8), RandomAffine()
    first = augment(images, INDICES, seed=1, epoch=2)
    np.testing.assert_array_equal(augment(images, INDICES, seed=1, epoch=2), first)
    for seed, epoch, offset in ((2, 2, 0), (1, 3, 0), (1, 2, 8)):
        other = augment(images, INDICES + offset, seed=seed, epoch=epoch)
        assert (other != first).any(axis=(1, 2)).all()


def test_images_are_not_changed_in_place():
    images = random_images(8)
    before = images.copy()
    RandomAffine()(images, INDICES, seed=0, epoch=0)
    np.testing.assert_array_equal(images, before)


def test_ranges_are_kept_and_filled():
    """A spot shifted, or a disc scaled, 2,000 times: where it comes to lie fills its range."""
    indices = np.arange(2000)
    images = np.repeat(blob(13.5, 13.5)[None], 2000, axis=0)
    shifts = RandomAffine(degrees=0, translate=(0.2, 0.1), scale=(1, 1))(images, indices, 0, 0)
    y, x = np.array([centre_of_mass(image) for image in shifts]).T - 13.5
    for displacement, largest in ((x, 5.6), (y, 2.8)):
        assert np.abs(displacement).max() == pytest.approx(largest, rel=0.02)
        assert abs(displacement.mean()) < 5 * largest / np.sqrt(3 * 2000)
    scaled = RandomAffine(degrees=0, translate=(0, 0), scale=(0.8, 1.2))(images, indices, 0, 0)
    factors = np.sqrt(scaled.sum(axis=(1, 2)) / images[0].sum())
    assert factors.min() == pytest.approx(0.8, abs=0.02)
    assert factors.max() == pytest.approx(1.2, abs=0.02)


def test_no_range_is_no_change():
    images = random_images(8)
    augment = RandomAffine(degrees=0, translate=(0, 0), scale=(1, 1))
    np.testing.assert_array_equal(augment(images, INDICES, seed=0, epoch=0), images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"degrees": -1}, "degrees is -1"),
        ({"degrees": 181}, "degrees is 181"),
        ({"translate": (0.1, 1.5)}, "translate is"),
        ({"scale": (0, 1)}, "scale is"),
        ({"scale": (1.2, 0.8)}, "scale is"),
    ],
)
def test_impossible_ranges_are_refused(options, message):
    with pytest.raises(ValueError, match=f"RandomAffine: {message}"):
        RandomAffine(**options)

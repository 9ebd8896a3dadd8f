"""Image files become what MNIST would have made of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.training.drawn_digits import draw
from tinynn.data.image_files import find_images, fit_to_mnist, read_digit

FIVE = draw(5)


@pytest.fixture
def read(tmp_path):
    """Saves an image under a name and reads it back as a digit."""

    def save_and_read(pixels, name="image.png", **options):
        image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
        image.save(tmp_path / name, **options)
        return read_digit(tmp_path / name).astype(int)

    return save_and_read


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32 - 1), st.floats(0.05, 1.0))
def test_ink_fills_the_box_with_its_centre_of_mass_in_the_middle(height, width, seed, density):
    random = np.random.default_rng(seed)
    ink = random.random((height, width)) * (random.random((height, width)) < density)
    ink[0, 0] = ink[-1, -1] = 1.0
    image = fit_to_mnist(ink).astype(float)
    assert (image.shape, image.max()) == ((28, 28), 255)
    rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
    for axis, used in ((1, rows), (0, columns)):
        centre = (np.arange(28) + 0.5) @ image.sum(axis=axis) / image.sum()
        touches_the_edge = used[0] == 0 or used[-1] == 27
        assert touches_the_edge or 13.9 <= centre <= 15.1


def test_an_image_in_the_form_of_mnist_stays_as_it_is(read):
    rows, columns = FIVE.any(axis=1), FIVE.any(axis=0)
    ink = fit_to_mnist(FIVE[np.ix_(rows, columns)])
    assert np.array_equal(read(ink), ink)
    assert np.array_equal(read(255 - ink), ink)


def test_place_shade_and_colours_do_not_matter(read):
    expected = read(FIVE)
    ink = FIVE[..., None] > 0
    variants = {
        "dark on light": 255 - FIVE,
        "grey on grey": np.where(FIVE, 90, 140).astype(np.uint8),
        "moved": np.roll(np.pad(FIVE, 60), (17, -31), axis=(0, 1)),
        "colour": np.where(ink, [10, 20, 120], [255, 250, 220]).astype(np.uint8),
        "16 bits": FIVE.astype(np.uint16) * 200 + 1000,
        "black ink on nothing": np.dstack([np.zeros((28, 28, 3), np.uint8), FIVE]),
        "white ink on nothing": np.dstack([np.full((28, 28, 3), 255, np.uint8), FIVE]),
    }
    for name, pixels in variants.items():
        assert np.abs(read(pixels) - expected).max() <= 2, name
    palette = Image.fromarray(FIVE).convert("P")
    assert np.abs(read(palette, "image.gif") - expected).max() <= 2


@pytest.mark.parametrize("factor", [2, 7, 20])
def test_size_does_not_matter(read, factor):
    large = np.kron(FIVE, np.ones((factor, factor), np.uint8))
    assert np.abs(read(large) - read(FIVE)).mean() < 8


def test_shadows_and_the_grain_of_paper_are_not_ink(read):
    random = np.random.default_rng(0)
    large = np.kron(FIVE, np.ones((8, 8), np.uint8)) > 0
    page = np.pad(large, ((80, 120), (90, 40)))
    shade = 190 + np.linspace(-40, 40, page.shape[0])[:, None] + np.linspace(20, -20, page.shape[1])
    photo = np.where(page, 0.3, 1.0) * shade + random.normal(0, 3, page.shape)
    image = read(np.clip(photo, 0, 255).astype(np.uint8), "photo.jpg", quality=80)
    assert np.abs(image - read(FIVE)).mean() < 12
    assert image[0].max() == 0


def test_a_photo_is_turned_as_its_camera_says(read):
    turned = Image.fromarray(np.rot90(FIVE).copy())
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown rotated by 90 degrees clockwise
    assert np.abs(read(turned, "photo.png", exif=exif) - read(FIVE)).max() <= 2


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.full((40, 30), 128, np.uint8), "nothing is drawn"),
        (np.zeros((1, 1), np.uint8), "nothing"),
    ],
)
def test_an_image_without_ink_is_refused(read, pixels, message):
    with pytest.raises(ValueError, match=message):
        read(pixels)


def test_files_that_are_no_images_are_named(tmp_path):
    text, cut, good = tmp_path / "text.png", tmp_path / "cut.png", tmp_path / "good.png"
    text.write_text("hello")
    Image.fromarray(np.tile(FIVE, (20, 20))).save(good)
    cut.write_bytes(good.read_bytes()[:200])
    for path in (text, cut):
        with pytest.raises(ValueError, match=path.name):
            read_digit(path)
    with pytest.raises(FileNotFoundError, match="missing"):
        read_digit(tmp_path / "missing.png")


def test_an_image_of_absurd_size_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    Image.fromarray(FIVE).save(tmp_path / "bomb.png")
    with pytest.raises(ValueError, match="too many pixels"):
        read_digit(tmp_path / "bomb.png")


def test_folders_give_their_images_in_order(tmp_path):
    for name in ("b.png", "a.JPG", "notes.txt", "c.bmp"):
        (tmp_path / name).write_bytes(b"")
    single = tmp_path / "notes.txt"
    names = [path.name for path in find_images([single, tmp_path])]
    assert names == ["notes.txt", "a.JPG", "b.png", "c.bmp"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no image files"):
        find_images([tmp_path / "empty"])
    with pytest.raises(FileNotFoundError, match="missing"):
        find_images([tmp_path / "missing"])

"""The pictures are drawn, whole, and show what they should."""

import os

import numpy as np
import pytest
from PIL import Image

from tinynn.training.pictures import (
    draw_confusion,
    draw_curves,
    draw_lr_range,
    draw_mistakes,
    draw_weights,
    mosaic,
    surest_mistakes,
)

HISTORY = [
    {
        "epoch": epoch,
        "step": 10 * epoch,
        "train_loss": 2.0**-epoch,
        "train_accuracy": 1 - 2.0**-epoch,
        "validation_loss": 1.5**-epoch,
        "validation_accuracy": 1 - 1.5**-epoch,
        "learning_rate": 0.1 / epoch,
        "seconds": 1.0,
    }
    for epoch in range(1, 13)
]
random = np.random.default_rng(0)
PROBABILITIES = random.dirichlet(np.ones(10), 50)
IMAGES = random.integers(0, 256, (50, 28, 28), dtype=np.uint8)


def grey(path):
    """The picture in greyscale, as its reader on paper sees it."""
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("L"))


CASES = {
    "curves": lambda path: draw_curves(HISTORY, path, kept_epoch=7),
    "curves of one epoch": lambda path: draw_curves(HISTORY[:1], path),
    "curves without validation": lambda path: draw_curves(
        [{"epoch": 1, "train_loss": 1.0, "learning_rate": 0.1}], path
    ),
    "confusion": lambda path: draw_confusion(np.arange(100).reshape(10, 10), path),
    "confusion of nothing": lambda path: draw_confusion(np.zeros((3, 3), int), path, "abc"),
    "mistakes": lambda path: draw_mistakes(IMAGES, np.zeros(50, int), PROBABILITIES, path),
    "no mistakes": lambda path: draw_mistakes(
        IMAGES, PROBABILITIES.argmax(axis=1), PROBABILITIES, path
    ),
    "weights": lambda path: draw_weights(random.normal(size=(100, 784)), path),
    "weights of one unit": lambda path: draw_weights(np.zeros((1, 6)), path, shape=(2, 3)),
    "range test": lambda path: draw_lr_range([1e-3, 1e-2, 1e-1], [2.0, 1.0, 9.0], path, 1e-2),
}


@pytest.mark.parametrize("case", CASES)
def test_a_picture_is_drawn_and_nothing_else_left(tmp_path, case):
    CASES[case](tmp_path / "picture.png")
    pixels = grey(tmp_path / "picture.png")
    assert pixels.min() < 60  # ink
    assert pixels.max() == 255  # on paper
    assert min(pixels.shape) > 150
    assert max(pixels.shape) < 2500
    assert os.listdir(tmp_path) == ["picture.png"]


def test_mistakes_are_the_wrong_answers_surest_first():
    probabilities = np.array([[0.6, 0.4], [0.9, 0.1], [0.3, 0.7], [0.2, 0.8], [0.45, 0.55]])
    targets = np.array([1, 1, 1, 0, 0])
    assert surest_mistakes(targets, probabilities, limit=9).tolist() == [1, 3, 0, 4]
    assert surest_mistakes(targets, probabilities, limit=2).tolist() == [1, 3]


def test_a_mosaic_holds_every_image_at_its_corner():
    images = random.random((5, 3, 4))
    picture, corners = mosaic(images, columns=2, gap=2)
    for image, (top, left) in zip(images, corners, strict=True):
        np.testing.assert_array_equal(picture[top : top + 3, left : left + 4], image)
    assert np.isnan(picture).sum() == picture.size - images.size


def test_train_and_validation_differ_in_greyscale(tmp_path):
    """The same two curves, exchanged: were they told apart by colour alone, greys would agree."""
    exchanged = [
        {key.replace("train", "x").replace("validation", "train").replace("x", "validation"): v
         for key, v in row.items()}
        for row in HISTORY
    ]  # fmt: skip
    draw_curves(HISTORY, tmp_path / "a.png")
    draw_curves(exchanged, tmp_path / "b.png")
    first, second = grey(tmp_path / "a.png"), grey(tmp_path / "b.png")
    assert (np.abs(first.astype(int) - second) > 80).sum() > 500


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda path: draw_curves([], path), "no rows"),
        (lambda path: draw_confusion(np.zeros((2, 3)), path), r"\(2, 3\), expected \(classes"),
        (
            lambda path: draw_weights(np.zeros((4, 100)), path),
            r"\(4, 100\), expected \(units, 784\)",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, draw, message):
    with pytest.raises(ValueError, match=message):
        draw(tmp_path / "picture.png")
    assert os.listdir(tmp_path) == []

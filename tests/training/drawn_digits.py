"""Digits drawn with seven strokes, displaced and grained: an MNIST that a test can learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinynn.data import Dataset
from tinynn.data.image_files import fit_to_mnist
from tinynn.io import write_idx

# (top, left, bottom, right) of each stroke, pixels of a 28 x 28 image.
STROKES = {
    "upper": (5, 9, 8, 19),
    "middle": (13, 9, 16, 19),
    "lower": (21, 9, 24, 19),
    "upper left": (5, 8, 15, 11),
    "upper right": (5, 17, 15, 20),
    "lower left": (14, 8, 24, 11),
    "lower right": (14, 17, 24, 20),
}
# The strokes that each digit lacks.
LACKING = {
    0: {"middle"},
    1: {"upper", "middle", "lower", "upper left", "lower left"},
    2: {"upper left", "lower right"},
    3: {"upper left", "lower left"},
    4: {"upper", "lower", "lower left"},
    5: {"upper right", "lower left"},
    6: {"upper right"},
    7: {"middle", "lower", "upper left", "lower left"},
    8: set(),
    9: {"lower left"},
}


def draw(digit: int) -> NDArray[np.uint8]:
    """A clean digit, white on black, uint8 (28, 28)."""
    image = np.zeros((28, 28), np.uint8)
    for stroke in STROKES.keys() - LACKING[digit]:
        top, left, bottom, right = STROKES[stroke]
        image[top:bottom, left:right] = 255
    return image


def drawn_dataset(size: int, seed: int = 0) -> Dataset:
    """Digits in random order, centred as MNIST's, then shifted by up to 2 pixels and grained."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.arange(size) % 10)
    centred = np.stack([fit_to_mnist(draw(digit)[5:24, 8:20]) for digit in range(10)])
    shifts = random.integers(-2, 3, (size, 2))
    images = np.stack(
        [np.roll(centred[d], shift, axis=(0, 1)) for d, shift in zip(labels, shifts, strict=True)]
    )
    grain = random.integers(0, 60, images.shape)
    return Dataset(np.clip(images + grain, 0, 255).astype(np.uint8), labels)


def write_dataset(folder: Path, train: int = 600, test: int = 200) -> Path:
    """Writes a folder of IDX files in the form of MNIST's, and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, size, seed in (("train", train, 0), ("t10k", test, 1)):
        dataset = drawn_dataset(size, seed)
        write_idx(folder / f"{part}-images-idx3-ubyte", dataset.images)
        write_idx(folder / f"{part}-labels-idx1-ubyte", dataset.labels.astype(np.uint8))
    return folder

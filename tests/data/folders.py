"""Small folders of IDX files."""

from __future__ import annotations

import numpy as np

from tinynn.data import Dataset
from tinynn.io import write_idx


def random_images(count, seed=0, height=28, width=28):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (count, height, width), dtype=np.uint8)


def random_dataset(count, seed=0):
    """Images that differ, with labels 0, 1, ... 9, 0, ..."""
    return Dataset(random_images(count, seed), np.arange(count) % 10)


def write_folder(folder, train=20, test=10, separator="-", suffix=""):
    """Writes the four files as MNIST names them; gives the arrays by part and content."""
    written = {}
    for part, count in (("train", train), ("t10k", test)):
        images, labels = random_images(count, seed=count), np.arange(count) % 10
        write_idx(folder / f"{part}-images{separator}idx3-ubyte{suffix}", images)
        write_idx(folder / f"{part}-labels{separator}idx1-ubyte{suffix}", labels.astype(np.uint8))
        written[part] = images, labels
    return written

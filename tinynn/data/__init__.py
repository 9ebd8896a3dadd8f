"""Datasets, texts, splits, loaders and augmentation."""

from tinynn.data.augmentation import Augmentation, RandomAffine
from tinynn.data.datasets import MNIST, Dataset, FashionMNIST, IDXFolder
from tinynn.data.loader import DataLoader
from tinynn.data.normalization import MNIST_MEAN, MNIST_STD, normalize
from tinynn.data.splits import split, subset
from tinynn.data.text import SHAKESPEARE, Shakespeare, load_text
from tinynn.data.tokens import TokenBatches, TokenWindows, map_tokens, write_tokens

__all__ = [
    "MNIST",
    "MNIST_MEAN",
    "MNIST_STD",
    "SHAKESPEARE",
    "Augmentation",
    "DataLoader",
    "Dataset",
    "FashionMNIST",
    "IDXFolder",
    "RandomAffine",
    "Shakespeare",
    "TokenBatches",
    "TokenWindows",
    "load_text",
    "map_tokens",
    "normalize",
    "split",
    "subset",
    "write_tokens",
]

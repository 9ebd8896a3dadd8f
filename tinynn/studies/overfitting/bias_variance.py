"""Bias and variance of networks that were trained on different images."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Decomposition", "decompose"]


class Decomposition(NamedTuple):
    """The mean squared error of probabilities over images: error = bias + variance."""

    error: float
    """The mean of `|p - y|^2`, over networks and images; between 0 and 2."""
    bias: float
    """The squared bias: the error that the mean of endlessly many such networks would have."""
    variance: float
    """The mean of `|p - E p|^2`: what single networks have more, because they differ."""


def decompose(probabilities: NDArray[Any], labels: NDArray[Any]) -> Decomposition:
    """Splits the Brier error of networks trained on independent sets of images (Geman et al. 1992).

    With `y` the label as a vector of zeros and a one, `p` a network's probabilities for an image,
    and `E` the mean over networks: `E |p - y|^2 = |E p - y|^2 + E |p - E p|^2`.

    For R networks, the sum of squared distances from their mean over R - 1 is an unbiased estimate
    of the variance. The square of `mean p - y` would be too great for the squared bias, by
    variance / R, because the mean of a few networks varies, too. What variance leaves of the error
    is unbiased (Yang et al. 2020, algorithm 1); it can come out below 0 where the bias is small.

    Arguments:
        probabilities: (networks, images, classes), of at least two networks.
        labels: (images,), integers.

    Raises ValueError for a single network.

    >>> decompose(np.array([[[0.5, 0.5]], [[1.0, 0.0]]]), np.array([0]))
    Decomposition(error=0.25, bias=0.0, variance=0.25)
    """
    networks, images, classes = probabilities.shape
    if networks < 2:
        raise ValueError(f"decompose: got {networks} network, expected at least 2")
    p = probabilities.astype(np.float64)
    y = np.eye(classes)[labels]
    error = ((p - y) ** 2).sum() / (networks * images)
    variance = ((p - p.mean(axis=0)) ** 2).sum() / ((networks - 1) * images)
    return Decomposition(float(error), float(error - variance), float(variance))

"""Bias and variance add up to the error, and are those of a distribution that is known."""

import numpy as np
import pytest

from tinynn.studies.overfitting.bias_variance import decompose


def ensemble(seed, networks, images=40, classes=10):
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.full(classes, 0.3), (networks, images))
    return probabilities, random.integers(0, classes, images)


@pytest.mark.parametrize("networks", [2, 3, 7])
def test_the_parts_are_those_of_their_definitions(networks):
    p, labels = ensemble(networks, networks)
    y = np.zeros(p.shape[1:])
    for image, label in enumerate(labels):
        y[image, label] = 1
    error = np.mean([((p[r] - y) ** 2).sum(axis=1) for r in range(networks)])
    variance = p.var(axis=0, ddof=1).sum(axis=1).mean()
    # The square of the estimated mean's distance is too great by the variance of that mean.
    bias = ((p.mean(axis=0) - y) ** 2).sum(axis=1).mean() - variance / networks

    parts = decompose(p, labels)
    assert parts.error == pytest.approx(error, rel=1e-12)
    assert parts.variance == pytest.approx(variance, rel=1e-12)
    assert parts.bias == pytest.approx(bias, rel=1e-10, abs=1e-12)
    assert parts.bias + parts.variance == pytest.approx(parts.error, rel=1e-12)


def test_networks_that_agree_have_no_variance():
    p, labels = ensemble(0, 1)
    parts = decompose(np.repeat(p, 3, axis=0), labels)
    assert parts.variance == pytest.approx(0, abs=1e-15)
    assert parts.bias == pytest.approx(parts.error)


def test_the_estimates_of_few_networks_are_right_on_average():
    """p = q + spread * e with e = +1 or -1: bias^2 = 2 (1 - q)^2 and variance 2 spread^2."""
    q, spread = 0.7, 0.2
    random = np.random.default_rng(0)
    images = 40_000  # each a new draw of the networks
    first = q + spread * random.choice([-1.0, 1.0], (3, images))
    parts = decompose(np.stack([first, 1 - first], axis=2), np.zeros(images, int))
    # A naive estimate of the squared bias would be too great by a third of the variance, 0.027.
    assert parts.bias == pytest.approx(2 * (1 - q) ** 2, abs=0.004)
    assert parts.variance == pytest.approx(2 * spread**2, abs=0.002)


def test_single_precision_is_summed_in_double():
    p, labels = ensemble(1, 4, images=2000)
    single = p.astype(np.float32)
    assert decompose(single, labels) == decompose(single.astype(np.float64), labels)


def test_one_network_has_no_variance_to_estimate():
    with pytest.raises(ValueError, match="got 1 network, expected at least 2"):
        decompose(*ensemble(0, 1))

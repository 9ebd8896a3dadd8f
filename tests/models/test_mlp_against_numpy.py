"""A hundred steps of training, against the same MLP written by hand in NumPy."""

import numpy as np
import pytest

import tinynn as tn
from tests.arrays import host
from tinynn import nn
from tinynn.models import MLP

SIZES = (20, 16, 12, 5)
BATCH, STEPS = 32, 100


def batches(dtype):
    """Noisy points around five centres."""
    random = np.random.default_rng(0)
    centres = random.standard_normal((5, 20))
    for _ in range(STEPS):
        labels = random.integers(0, 5, BATCH)
        yield (centres[labels] + random.standard_normal((BATCH, 20))).astype(dtype), labels


class HandWritten:
    """784-256-128-10 in small: forward, backward and SGD with nothing but NumPy."""

    def __init__(self, weights, lr, momentum, weight_decay):
        self.weights = weights  # W1, b1, W2, b2, W3, b3
        self.velocity = [np.zeros_like(w) for w in weights]
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay

    def step(self, x, labels):
        w1, b1, w2, b2, w3, b3 = self.weights
        z1 = x @ w1.T + b1
        h1 = np.maximum(z1, 0)
        z2 = h1 @ w2.T + b2
        h2 = np.maximum(z2, 0)
        logits = h2 @ w3.T + b3

        shifted = logits - logits.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        rows = np.arange(len(labels))
        loss = -log_p[rows, labels].mean()

        d3 = np.exp(log_p)
        d3[rows, labels] -= 1
        d3 /= len(labels)
        d2 = d3 @ w3 * (z2 > 0)
        d1 = d2 @ w2 * (z1 > 0)
        gradients = [d1.T @ x, d1.sum(0), d2.T @ h1, d2.sum(0), d3.T @ h2, d3.sum(0)]

        for w, v, g in zip(self.weights, self.velocity, gradients, strict=True):
            v *= self.momentum
            v += g + self.weight_decay * w
            w -= self.lr * v
        return loss


@pytest.mark.parametrize("options", [(0.1, 0.0, 0.0), (0.05, 0.9, 1e-3)], ids=["plain", "momentum"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-10), ("float32", 2e-4)])
def test_losses_of_a_hundred_steps(options, dtype, tolerance, device):
    lr, momentum, weight_decay = options
    model = MLP(SIZES).to(device, dtype)
    peer = HandWritten([host(p) for p in model.parameters()], lr, momentum, weight_decay)
    optimizer = tn.optim.SGD(model.parameters(), lr, momentum, weight_decay=weight_decay)
    criterion = nn.CrossEntropyLoss()
    losses, expected = [], []
    for x, labels in batches(dtype):
        optimizer.zero_grad()
        loss = criterion(model(tn.tensor(x, device=device)), tn.tensor(labels, device=device))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        expected.append(peer.step(x, labels))
    np.testing.assert_allclose(losses, expected, rtol=tolerance)
    assert losses[-1] < losses[0] / 2
    for parameter, weight in zip(model.parameters(), peer.weights, strict=True):
        np.testing.assert_allclose(host(parameter), weight, rtol=tolerance, atol=tolerance)

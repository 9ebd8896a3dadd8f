"""Initialisers: the distributions they draw from, and that a seed decides what is drawn."""

import math

import numpy as np
import pytest
from scipy import stats

import tinynn as tn
from tests.arrays import host
from tinynn.nn import init

FAN_IN, FAN_OUT = 40 * 9, 60 * 9
SHAPE = (60, 40, 3, 3)

# (what is called, the distribution it is to draw from).
DISTRIBUTIONS = {
    "uniform": (lambda t: init.uniform_(t, -1, 3), stats.uniform(-1, 4)),
    "normal": (lambda t: init.normal_(t, 2, 0.5), stats.norm(2, 0.5)),
    "truncated": (
        lambda t: init.trunc_normal_(t, 1.0, 2.0, -1.0, 2.0),
        stats.truncnorm(-1.0, 0.5, 1.0, 2.0),
    ),
    "xavier uniform": (
        lambda t: init.xavier_uniform_(t, gain=2.0),
        stats.uniform(
            -2 * math.sqrt(6 / (FAN_IN + FAN_OUT)), 4 * math.sqrt(6 / (FAN_IN + FAN_OUT))
        ),
    ),
    "xavier normal": (init.xavier_normal_, stats.norm(0, math.sqrt(2 / (FAN_IN + FAN_OUT)))),
    "kaiming uniform": (
        lambda t: init.kaiming_uniform_(t, nonlinearity="relu"),
        stats.uniform(-math.sqrt(6 / FAN_IN), 2 * math.sqrt(6 / FAN_IN)),
    ),
    "kaiming normal": (
        lambda t: init.kaiming_normal_(t, a=0.5, mode="fan_out"),
        stats.norm(0, math.sqrt(2 / (1 + 0.25) / FAN_OUT)),
    ),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_distributions(name):
    """Kolmogorov and Smirnov: at this seed, no evidence of another distribution."""
    fill, distribution = DISTRIBUTIONS[name]
    tensor = tn.zeros(SHAPE, dtype=tn.float64)
    assert fill(tensor) is tensor
    assert stats.kstest(host(tensor).ravel(), distribution.cdf).pvalue > 0.01


def test_constants(device):
    tensor = tn.zeros(2, 3, device=device)
    assert host(init.ones_(tensor)).tolist() == [[1.0] * 3] * 2
    assert host(init.constant_(tensor, 0.5)).tolist() == [[0.5] * 3] * 2
    assert host(init.zeros_(tensor)).tolist() == [[0.0] * 3] * 2


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_seed_gives_the_same_numbers_on_every_device_and_in_every_dtype(name, device):
    fill, _ = DISTRIBUTIONS[name]
    tn.manual_seed(3)
    expected = host(fill(tn.zeros(SHAPE, dtype=tn.float64)))
    for dtype in ("float64", "float32", "float16"):
        tn.manual_seed(3)
        result = host(fill(tn.zeros(SHAPE, dtype=dtype, device=device)))
        assert (result == expected.astype(dtype)).all()


def test_a_generator_of_ones_own():
    first, second = (np.random.default_rng(5) for _ in range(2))
    a = init.normal_(tn.zeros(4), generator=first)
    assert a.tolist() == second.normal(size=4).astype(np.float32).tolist()


@pytest.mark.parametrize(
    ("nonlinearity", "param", "gain"),
    [
        ("linear", None, 1.0),
        ("sigmoid", None, 1.0),
        ("tanh", None, 5 / 3),
        ("relu", None, math.sqrt(2)),
        ("leaky_relu", 0.2, math.sqrt(2 / 1.04)),
        ("leaky_relu", None, math.sqrt(2 / 1.0001)),
        ("selu", None, 0.75),
    ],
)
def test_gains(nonlinearity, param, gain):
    assert init.calculate_gain(nonlinearity, param) == pytest.approx(gain, rel=1e-12)


def test_gains_of_torch():
    torch = pytest.importorskip("torch")
    for name in init.GAINS:
        assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: init.kaiming_normal_(tn.zeros(3)), r"two or more dimensions, got \(3,\)"),
        (lambda t: init.kaiming_normal_(t, mode="out"), "'fan_in' or 'fan_out', got 'out'"),
        (lambda t: init.kaiming_normal_(t, nonlinearity="rule"), "'rule' is unknown"),
        (lambda t: init.normal_(t, std=-1), "std must be zero or positive, got -1"),
        (lambda t: init.uniform_(t, 2, 1), "expected a <= b, got a=2, b=1"),
        (lambda t: init.trunc_normal_(t, a=8, b=9), "hardly has anything between a=8 and b=9"),
    ],
)
def test_refusals(call, message):
    tensor = tn.ones(2, 2)
    with pytest.raises(ValueError, match=message):
        call(tensor)
    assert tensor.tolist() == [[1.0] * 2] * 2


def test_writing_is_noticed_by_a_graph():
    weight = tn.nn.Parameter(tn.ones(2, 2))
    loss = (weight * weight).sum()
    init.zeros_(weight)
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()

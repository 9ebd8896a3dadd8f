"""When training is said to oscillate, and when it is left in peace."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinynn.training import TrainingDiverged, oscillates


@pytest.mark.parametrize(
    "losses",
    [
        [2.3, 1.0, 1.6, 0.9, 1.5, 0.8],
        [0.5, 0.4, 0.3, 0.6, 0.3, 0.6, 0.3],
        [5.0, 1.0, 2.0, 1.0, 2.0],
        # Validation losses of MNIST: momentum 0.9 at a rate of 0.1; softmax regression at 0.5.
        [0.491, 0.2844, 0.3623, 0.3184, 0.3200, 0.3070, 0.3372],
        [5.1834, 4.7424, 5.3637, 4.9317, 5.9533, 5.5330],
    ],
)
def test_a_loss_that_jumps_up_and_down_oscillates(losses):
    assert oscillates(losses)


@pytest.mark.parametrize(
    "losses",
    [
        [],
        [1.0],
        [0.3, 0.1, 0.9, 0.08, 0.07, 0.06],  # one bad epoch
        [0.3, 0.5, 0.8, 1.2, 2.0, 3.0],  # it only rises: that is divergence
        [2.3, 2.31, 2.29, 2.31, 2.30, 2.31],  # it does not learn at all
        [0.3, 0.1, 0.01, 0.012, 0.008, 0.013, 0.007],  # at its floor
        # Validation losses of MNIST at rates of 0.1 with dropout and 0.5 without: it overfits.
        [0.3509, 0.2701, 0.2267, 0.2038, 0.1768, 0.1758, 0.1594, 0.1626, 0.1556, 0.1463, 0.1449],
        [0.3257, 0.2304, 0.2003, 0.2063, 0.1842, 0.1884, 0.1920, 0.1999, 0.2329, 0.2322, 0.2334],
    ],
)
def test_other_troubles_are_not_called_oscillation(losses):
    assert not oscillates(losses)


@given(
    st.floats(0.05, 3.0),
    st.floats(0.3, 0.98),
    st.lists(st.floats(-0.02, 0.02), min_size=1, max_size=40),
)
def test_a_healthy_curve_with_some_noise_raises_no_alarm(first, ratio, noise):
    losses = [first * (ratio**epoch + ups) for epoch, ups in enumerate(noise)]
    assert not oscillates(losses)


def test_divergence_is_told_with_place_and_remedy():
    error = TrainingDiverged("loss", math.nan, epoch=3, step=120, learning_rate=1.0)
    assert str(error).startswith("loss is nan at epoch 3 step 120, learning rate 1: lower the")
    assert isinstance(error, RuntimeError)

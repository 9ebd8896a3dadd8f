"""Dropout: what is dropped, and that seed, stream, step and sample decide it."""

import copy

import numpy as np
import pytest

import tinynn as tn
from tests.arrays import host
from tinynn import nn


def test_the_share_that_is_dropped_and_the_scale_of_the_rest(device):
    layer = nn.Dropout(0.2)
    result = host(layer(tn.ones(100, 1000, device=device)))
    assert set(np.unique(result)) == {0.0, np.float32(1.25)}
    assert np.mean(result == 0) == pytest.approx(0.2, abs=0.005)  # 4 standard deviations
    assert result.mean() == pytest.approx(1.0, abs=0.01)


def test_eval_mode_and_p_0_do_nothing():
    x = tn.ones(10)
    assert nn.Dropout(0.9).eval()(x) is x
    assert nn.Dropout(0.0)(x) is x
    assert nn.Dropout(1.0)(x).tolist() == [0.0] * 10


def test_gradients_go_where_values_went():
    x = tn.ones(1000, requires_grad=True)
    result = nn.Dropout(0.5)(x)
    result.sum().backward()
    assert (host(x.grad) == host(result)).all()


def test_a_seed_repeats_everything_and_devices_agree(device):
    def masks():
        tn.manual_seed(7)
        net = nn.ModuleList([nn.Dropout(), nn.Dropout()])
        return [host(layer(tn.ones(64, 8, device=device))) for _ in range(2) for layer in net]

    first, again = masks(), masks()
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    # two layers and two steps: four masks that differ
    assert len({mask.tobytes() for mask in first}) == 4
    tn.manual_seed(7)
    assert (host(nn.Dropout()(tn.ones(64, 8))) == first[0]).all()


def test_another_seed_drops_others():
    tn.manual_seed(1)
    first = nn.Dropout()(tn.ones(100)).tolist()
    tn.manual_seed(2)
    assert nn.Dropout()(tn.ones(100)).tolist() != first


def test_the_step_counts_calls_in_training_only():
    layer = nn.Dropout()
    layer(tn.ones(3))
    layer.eval()(tn.ones(3))
    layer.train()(tn.ones(3))
    assert layer.step == 2


def test_a_copy_goes_on_with_the_same_numbers():
    layer = nn.Dropout()
    layer(tn.ones(100))
    twin = copy.deepcopy(layer)
    assert twin(tn.ones(100)).tolist() == layer(tn.ones(100)).tolist()


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_shares_outside_0_to_1_are_refused(p):
    with pytest.raises(ValueError, match="p must be between 0 and 1"):
        nn.Dropout(p)

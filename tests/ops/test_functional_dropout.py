"""Dropout's random numbers: how often, and what they depend on."""

import numpy as np
import pytest

import tinynn as tn
import tinynn.nn.functional as F


def kept(shape=(64, 100), p=0.5, device="cpu", **counters):
    """Which elements of a tensor of ones are not zeroed."""
    ones = tn.ones(*shape, device=device)
    return F.dropout(ones, p, **counters).to("cpu").data != 0


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_share_of_zeros_is_p_and_the_mean_is_kept(device, p):
    result = F.dropout(tn.ones(500, 200, device=device), p, stream=1).to("cpu").data
    sigma = np.sqrt(p * (1 - p) / result.size)
    assert abs((result == 0).mean() - p) < 5 * sigma
    assert abs(result.mean() - 1) < 5 * sigma / (1 - p)
    np.testing.assert_allclose(result[result != 0], 1 / (1 - p), rtol=1e-6)


def test_neighbours_are_independent():
    mask = kept((400, 250)).astype(float) - 0.5
    for other in (np.roll(mask, 1, 0), np.roll(mask, 1, 1), np.roll(mask, 4, 1)):
        assert abs((mask * other).mean() * 4) < 5 / np.sqrt(mask.size)


def test_the_same_counters_give_the_same_elements_on_every_device(device):
    here = kept(stream=3, step=5)
    np.testing.assert_array_equal(here, kept(device=device, stream=3, step=5))


@pytest.mark.parametrize("counters", [{"stream": 4}, {"step": 6}, {"offset": 64}])
def test_other_counters_give_others(counters):
    first = kept(stream=3, step=5)
    other = kept(**{"stream": 3, "step": 5, **counters})
    assert abs((first == other).mean() - 0.5) < 0.05


def test_another_seed_gives_others():
    first = kept(stream=3)
    tn.manual_seed(2**63 + 1)
    assert abs((first == kept(stream=3)).mean() - 0.5) < 0.05


def test_calls_without_a_stream_differ_until_the_seed_is_set_again():
    first, second = kept(), kept()
    assert (first != second).any()
    tn.manual_seed(0)
    np.testing.assert_array_equal(first, kept())


def test_a_batch_in_parts_loses_what_the_whole_loses():
    whole = kept((10, 7), stream=2)
    parts = [kept((3, 7), stream=2), kept((7, 7), stream=2, offset=3)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_the_gradient_flows_where_the_value_did(device):
    x = tn.ones(8, 9, device=device, requires_grad=True)
    result = F.dropout(x, 0.3, stream=1)
    (gradient,) = tn.grad(result.sum(), x)
    np.testing.assert_array_equal(gradient.to("cpu").data, result.detach().to("cpu").data)


@pytest.mark.parametrize("arguments", [{"p": 0.0}, {"p": 1.0, "training": False}])
def test_without_dropout_the_input_is_returned(arguments):
    x = tn.ones(3)
    assert F.dropout(x, **arguments) is x


def test_with_certain_dropout_nothing_is_left():
    x = tn.ones(3, requires_grad=True)
    result = F.dropout(x, 1.0)
    result.sum().backward()
    assert result.tolist() == x.grad.tolist() == [0.0, 0.0, 0.0]

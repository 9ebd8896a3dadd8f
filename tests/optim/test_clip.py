"""Clipping gradients by norm and by value."""

import math

import numpy as np
import pytest

import tinynn as tn
from tests.arrays import host
from tinynn import nn
from tinynn.nn.utils import clip_grad_norm_, clip_grad_value_

GRADIENTS = [
    np.array([[3.0, -4.0], [0.0, 12.0]], np.float32),
    np.array([84.0, 0.5], np.float32),
]


def parameters(device="cpu", flat=False):
    params = [nn.Parameter(tn.zeros(*g.shape, device=device)) for g in GRADIENTS]
    unused = nn.Parameter(tn.zeros(3, device=device))
    params.insert(1, unused)
    if flat:
        tn.optim.SGD(params, lr=0.1)
    for parameter, gradient in zip([params[0], params[2]], GRADIENTS, strict=True):
        (parameter * tn.tensor(gradient, device=device)).sum().backward()
    return params


def norm(arrays, order):
    everything = np.abs(np.concatenate([array.ravel() for array in arrays]).astype(float))
    return everything.max() if order == math.inf else (everything**order).sum() ** (1 / order)


@pytest.mark.parametrize("order", [2, 1.0, 3, math.inf])
@pytest.mark.parametrize("flat", [True, False])
def test_the_norm_of_all_together(order, flat, device):
    params = parameters(device, flat)
    total = clip_grad_norm_(params, 10.0, norm_type=order)
    expected = norm(GRADIENTS, order)
    assert total.shape == ()
    assert total.device.type == device
    assert total.item() == pytest.approx(expected, rel=1e-6)
    for parameter, gradient in zip([params[0], params[2]], GRADIENTS, strict=True):
        np.testing.assert_allclose(host(parameter.grad), gradient * (10 / expected), rtol=1e-5)
    assert params[1].grad is None


@pytest.mark.parametrize("flat", [True, False])
def test_small_gradients_are_left_alone(flat):
    params = parameters(flat=flat)
    clip_grad_norm_(params, 1e3)
    assert (host(params[0].grad) == GRADIENTS[0]).all()


def test_one_tensor_and_no_gradients():
    (weight, unused, _) = parameters()
    assert clip_grad_norm_(weight, 1.0).item() == 13.0
    assert clip_grad_norm_([unused], 1.0).item() == 0.0
    assert clip_grad_norm_([], 1.0).item() == 0.0


def test_a_generator_of_parameters():
    assert clip_grad_norm_((p for p in parameters()), 1.0).item() == pytest.approx(
        norm(GRADIENTS, 2), rel=1e-6
    )


@pytest.mark.parametrize("flat", [True, False])
def test_norms_that_are_not_finite(flat):
    params = parameters(flat=flat)
    params[0].grad.data[0, 0] = np.nan
    with pytest.raises(RuntimeError, match=r"norm of order 2\.0 of the gradients is nan"):
        clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
    assert (host(params[2].grad) == GRADIENTS[1]).all()
    assert math.isnan(clip_grad_norm_(params, 1.0).item())


def test_small_floats_do_not_overflow():
    weight = nn.Parameter(tn.zeros(1000, dtype=tn.float16))
    (weight * 100.0).sum().backward()
    assert clip_grad_norm_([weight], 1.0).item() == pytest.approx(100 * math.sqrt(1000), rel=1e-3)
    assert weight.grad.dtype == np.float16
    assert host(weight.grad)[0] == pytest.approx(1 / math.sqrt(1000), rel=1e-3)


@pytest.mark.parametrize("flat", [True, False])
def test_by_value(flat, device):
    params = parameters(device, flat)
    clip_grad_value_(params, 4.0)
    for parameter, gradient in zip([params[0], params[2]], GRADIENTS, strict=True):
        assert (host(parameter.grad) == np.clip(gradient, -4, 4)).all()


def test_gradients_that_are_not_contiguous():
    weight = nn.Parameter(tn.zeros(2, 2))
    weight.grad = tn.Tensor(GRADIENTS[0].copy().T)
    assert clip_grad_norm_([weight], 1.3).item() == 13.0
    np.testing.assert_allclose(host(weight.grad), GRADIENTS[0].T / 10, rtol=1e-5)


def test_orders_that_are_no_norms():
    with pytest.raises(ValueError, match=r"norm_type must be positive, got 0\.0"):
        clip_grad_norm_(parameters(), 1.0, norm_type=0)


@pytest.mark.parametrize("order", [2.0, 1.0, 2.5, math.inf])
def test_norms_of_torch(order):
    torch = pytest.importorskip("torch")
    peers = [torch.zeros(g.shape, requires_grad=True) for g in GRADIENTS]
    for peer, gradient in zip(peers, GRADIENTS, strict=True):
        peer.grad = torch.tensor(gradient)
    params = parameters()
    expected = torch.nn.utils.clip_grad_norm_(peers, 5.0, order)
    total = clip_grad_norm_(params, 5.0, order)
    assert total.item() == pytest.approx(expected.item(), rel=1e-6)
    np.testing.assert_allclose(host(params[2].grad), peers[1].grad.numpy(), rtol=1e-6)

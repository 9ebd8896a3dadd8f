"""Conv2d and MaxPool2d: torch's layers with the same state, how they begin and how they print."""

import math

import numpy as np
import pytest

import tinynn as tn
from tests.arrays import host
from tests.opinfo.tolerances import assert_close
from tinynn import nn

LAYERS = [
    ("Conv2d", (4, 6, 3), {}),
    ("Conv2d", (4, 6, (2, 3)), {"stride": (1, 2), "padding": (0, 2), "bias": False}),
    ("Conv2d", (4, 6, 3), {"padding": "same", "dilation": 2, "groups": 2}),
    ("Conv2d", (4, 4, 2), {"padding": "valid", "groups": 4}),
    ("MaxPool2d", (2,), {}),
    ("MaxPool2d", ((3, 2),), {"stride": 2, "padding": 1, "ceil_mode": True}),
    ("MaxPool2d", (2, 1), {"dilation": (2, 1)}),
]
X = np.random.default_rng(1).standard_normal((3, 4, 7, 9)).astype(np.float32)


@pytest.mark.parametrize(("name", "args", "options"), LAYERS)
def test_outputs_gradients_and_texts_are_torchs(name, args, options, device):
    torch = pytest.importorskip("torch")
    peer = getattr(torch.nn, name)(*args, **options)
    layer = getattr(nn, name)(*args, **options)
    assert repr(layer).splitlines()[0].partition("  #")[0] == repr(peer)
    layer.load_state_dict({key: value.numpy() for key, value in peer.state_dict().items()})
    layer.to(device)
    x, peer_x = tn.tensor(X, device=device, requires_grad=True), torch.tensor(X, requires_grad=True)
    result, expected = layer(x), peer(peer_x)
    assert_close(host(result), expected.detach().numpy(), factor=3)
    (result * result).sum().backward()
    (expected * expected).sum().backward()
    assert_close(host(x.grad), peer_x.grad.numpy(), factor=10)
    for parameter, peer_parameter in zip(layer.parameters(), peer.parameters(), strict=True):
        assert_close(host(parameter.grad), peer_parameter.grad.numpy(), factor=30)


def test_the_state_a_convolution_begins_with():
    """U(-k, k) with k = 1/sqrt(numbers in a filter): bounds, and a variance of k^2 / 3."""
    layer = nn.Conv2d(32, 300, 5, groups=2)
    bound = 1 / math.sqrt(16 * 25)
    for parameter in layer.parameters():
        assert np.abs(host(parameter)).max() <= bound
    assert host(layer.weight).var() == pytest.approx(bound**2 / 3, rel=0.02)
    assert host(layer.bias).max() > 0.8 * bound


def test_what_a_convolution_refuses():
    with pytest.raises(ValueError, match=r"in_channels \(3\) and out_channels \(4\), got 2"):
        nn.Conv2d(3, 4, 3, groups=2)
    with pytest.raises(ValueError, match="Conv2d: stride must be at least 1, got 0"):
        nn.Conv2d(3, 4, 3, stride=0)
    with pytest.raises(TypeError, match="Conv2d: kernel_size must be an int or a pair"):
        nn.Conv2d(3, 4, (1, 2, 3))

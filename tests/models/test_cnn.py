"""The CNN: its layers, its inputs, its refusals, and torch's network of the same layers."""

import numpy as np
import pytest

import tinynn as tn
from tests.arrays import host
from tinynn.models import CNN


def test_the_default_is_that_of_mnist():
    shapes = {name: tensor.shape for name, tensor in CNN().state_dict().items()}
    assert shapes == {
        "features.0.weight": (8, 1, 5, 5),
        "features.0.bias": (8,),
        "features.3.weight": (16, 8, 5, 5),
        "features.3.bias": (16,),
        "classifier.1.weight": (128, 784),
        "classifier.1.bias": (128,),
        "classifier.3.weight": (10, 128),
        "classifier.3.bias": (10,),
    }


def test_an_image_may_come_flat_or_with_its_channel(device):
    model = CNN().to(device)
    images = np.random.default_rng(0).standard_normal((3, 28, 28)).astype(np.float32)
    expected = host(model(tn.tensor(images, device=device)))
    assert expected.shape == (3, 10)
    for shape in ((3, 784), (3, 1, 28, 28)):
        result = model(tn.tensor(images.reshape(shape), device=device))
        np.testing.assert_array_equal(host(result), expected)


def test_it_is_torchs_network_of_the_same_layers():
    torch = pytest.importorskip("torch")
    N = torch.nn
    model = CNN(image=(12, 9), channels=(3, 4), kernel_size=3, hidden=5, classes=2)
    peer = N.Sequential(
        N.Conv2d(1, 3, 3, padding=1),
        N.ReLU(),
        N.MaxPool2d(2),
        N.Conv2d(3, 4, 3, padding=1),
        N.ReLU(),
        N.MaxPool2d(2),
        N.Flatten(),
        N.Linear(24, 5),
        N.ReLU(),
        N.Linear(5, 2),
    )
    pairs = list(zip(model.parameters(), peer.parameters(), strict=True))
    with torch.no_grad():
        for parameter, peer_parameter in pairs:
            peer_parameter.copy_(torch.tensor(host(parameter)))
    images = np.random.default_rng(0).standard_normal((4, 12, 9)).astype(np.float32)
    result, expected = model(tn.tensor(images)), peer(torch.tensor(images)[:, None])
    np.testing.assert_allclose(host(result), expected.detach().numpy(), rtol=1e-4, atol=1e-6)
    (result * result).sum().backward()
    (expected * expected).sum().backward()
    for parameter, peer_parameter in pairs:
        np.testing.assert_allclose(
            host(parameter.grad), peer_parameter.grad.numpy(), rtol=1e-4, atol=1e-5
        )


def test_what_it_refuses():
    with pytest.raises(ValueError, match=r"images of 28x28 numbers, got an input of \(2, 30, 30\)"):
        CNN()(tn.zeros(2, 30, 30))
    with pytest.raises(ValueError, match=r"halved once for each, got image=\(3, 28\)"):
        CNN(image=(3, 28))
    with pytest.raises(ValueError, match=r"channels=\[\]"):
        CNN(channels=())

"""The MLP: its layers, its inputs, its refusals."""

import numpy as np
import pytest

import tinynn as tn
from tests.arrays import host
from tinynn.models import MLP


def test_the_default_is_that_of_mnist():
    model = MLP()
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    assert shapes == {
        "layers.0.weight": (256, 784),
        "layers.0.bias": (256,),
        "layers.2.weight": (128, 256),
        "layers.2.bias": (128,),
        "layers.4.weight": (10, 128),
        "layers.4.bias": (10,),
    }


def test_softmax_regression_is_one_product(device):
    model = MLP([4, 3]).to(device)
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    (weight, bias) = (host(p) for p in model.parameters())
    result = model(tn.tensor(x, device=device))
    np.testing.assert_allclose(host(result), x @ weight.T + bias, rtol=1e-5)


def test_images_are_flattened():
    model = MLP([12, 5, 2])
    images = tn.rand(7, 1, 3, 4)
    assert (host(model(images)) == host(model(images.reshape(7, 12)))).all()


def test_dropout_is_in_hidden_layers_and_for_training_only():
    model = MLP([4, 64, 64, 2], dropout=0.5)
    assert sum(type(module).__name__ == "Dropout" for module in model.modules()) == 2
    x = tn.rand(8, 4)
    assert (host(model(x)) != host(model(x))).any()
    model.eval()
    assert (host(model(x)) == host(model(x))).all()


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh"])
def test_activations(name):
    """Two layers by hand, with the function of that name."""
    model = MLP([3, 5, 2], activation=name)
    x = tn.rand(4, 3) - 0.5
    first, second = model.layers[0], model.layers[2]
    hidden = getattr(tn.nn.functional, name)(first(x))
    np.testing.assert_allclose(host(model(x)), host(second(hidden)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MLP([784]), r"two or more positive numbers .*got \[784\]"),
        (lambda: MLP([784, 0, 10]), "positive numbers"),
        (lambda: MLP(activation="step"), "activation 'step' is unknown; expected one of relu, "),
        (lambda: MLP(dropout=1.5), "p must be between 0 and 1, got 1.5"),
        (lambda: MLP()(tn.zeros(2, 28, 27)), r"expected 784 numbers a sample, .*\(2, 756\)"),
        (lambda: MLP()(tn.zeros(784)), r"expected 784 numbers a sample, .*\(784,\)"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=message):
        make()

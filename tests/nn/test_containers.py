"""Sequential and ModuleList, and the fusion of Linear with what follows."""

import numpy as np
import pytest

import tinynn as tn
from tests.arrays import host
from tests.opinfo.tolerances import assert_close
from tinynn import nn


class Times(nn.Module):
    def __init__(self, factor):
        self.factor = factor

    def forward(self, x):
        return x * self.factor


def factors(container):
    return [module.factor for module in container]


@pytest.mark.parametrize("kind", [nn.ModuleList, lambda modules: nn.Sequential(*modules)])
def test_they_are_lists(kind):
    container = kind([Times(1), Times(2), Times(3)])
    assert len(container) == 3
    assert factors(container) == [1, 2, 3]
    assert container[-1].factor == 3
    assert factors(container[1:]) == [2, 3]
    assert type(container[1:]) is type(container)
    assert [name for name, _ in container[1:].named_children()] == ["0", "1"]
    container[0] = Times(10)
    container.append(Times(4)).extend([Times(5)]).insert(1, Times(11))
    assert factors(container) == [10, 11, 2, 3, 4, 5]
    del container[1:3]
    del container[-1]
    assert factors(container) == [10, 3, 4]
    assert [name for name, _ in container.named_children()] == ["0", "1", "2"]
    with pytest.raises(IndexError, match="index 3 is out of range for 3"):
        container[3]
    with pytest.raises(TypeError, match="must be a Module or None, got int"):
        container.append(3)


def test_sequential_applies_one_after_the_other():
    assert nn.Sequential(Times(2), Times(5))(tn.tensor([1.0])).tolist() == [10.0]
    x = tn.ones(1)
    assert nn.Sequential()(x) is x


def test_sequential_with_names():
    net = nn.Sequential({"double": Times(2), "layer": nn.Linear(1, 1)})
    assert net.double.factor == 2
    assert list(net.state_dict()) == ["layer.weight", "layer.bias"]


def test_one_module_in_two_places_is_applied_twice_and_counted_once():
    double = Times(2)
    net = nn.Sequential(double, double)
    assert net(tn.tensor([1.0])).tolist() == [4.0]
    assert len(list(net.children())) == 1


ACTIVATIONS = [
    nn.ReLU(),
    nn.LeakyReLU(0.2),
    nn.ELU(0.7),
    nn.GELU(),
    nn.GELU("tanh"),
    nn.SiLU(),
    nn.Sigmoid(),
    nn.Tanh(),
]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
def test_fusion_changes_nothing_but_the_number_of_operations(activation, bias, device):
    x = np.random.default_rng(0).standard_normal((7, 4)).astype(np.float32)
    linear = nn.Linear(4, 5, bias=bias).to(device)
    fused = nn.Sequential(linear, activation)(tn.tensor(x, device=device))
    assert fused.node.operation.name == "linear_activation"
    fused.square().sum().backward()
    gradients = [host(p.grad) for p in linear.parameters()]
    linear.zero_grad()
    apart = activation(linear(tn.tensor(x, device=device)))
    apart.square().sum().backward()
    assert_close(host(fused), host(apart), factor=3)
    for parameter, gradient in zip(linear.parameters(), gradients, strict=True):
        assert_close(gradient, host(parameter.grad), factor=10)


@pytest.mark.parametrize("position", [0, 1])
def test_modules_with_hooks_are_not_fused(position):
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    seen = []
    handle = net[position].register_forward_hook(lambda module, args, out: seen.append(out))
    result = net(tn.ones(1, 2))
    assert len(seen) == 1
    assert result.node.operation.name == "relu"
    handle.remove()
    assert net(tn.ones(1, 2)).node.operation.name == "linear_activation"


def test_subclasses_are_not_fused():
    class Shifted(nn.ReLU):
        def forward(self, x):
            return super().forward(x) + 1

    class Zero(nn.Linear):
        def forward(self, x):
            return super().forward(x) * 0

    assert nn.Sequential(nn.Linear(2, 2), Shifted())(tn.ones(1, 2)).min().item() >= 1
    assert nn.Sequential(Zero(2, 2), nn.ReLU())(tn.ones(1, 2)).tolist() == [[0.0, 0.0]]

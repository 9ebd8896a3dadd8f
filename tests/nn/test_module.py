"""Module: what it is made of, its modes, hooks, copies and repr."""

import copy

import numpy as np
import pytest

import tinynn as tn
from tests.arrays import host
from tinynn import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.second = nn.Linear(3, 2)
        self.scale = nn.Parameter(tn.ones(2))
        self.first = nn.Linear(4, 3, bias=False)
        self.register_buffer("mean", tn.zeros(2))

    def forward(self, x):
        return self.second(self.first(x)) * self.scale - self.mean


def names(pairs):
    return [name for name, _ in pairs]


def test_parameters_come_in_order_of_assignment_and_own_ones_first():
    net = Net()
    assert names(net.named_parameters()) == [
        "scale",
        "second.weight",
        "second.bias",
        "first.weight",
    ]
    assert [p.shape for p in net.parameters()] == [(2,), (2, 3), (2,), (3, 4)]
    assert names(net.named_parameters(recurse=False)) == ["scale"]
    assert names(net.named_parameters(prefix="net"))[:2] == ["net.scale", "net.second.weight"]
    assert names(net.named_buffers()) == ["mean"]
    assert names(net.named_children()) == ["second", "first"]
    assert names(net.named_modules()) == ["", "second", "first"]


def test_assigning_again_keeps_the_place():
    net = Net()
    replacement = nn.Parameter(tn.zeros(2))
    net.scale = replacement
    assert names(net.named_parameters())[0] == "scale"
    assert next(net.parameters()) is replacement


def test_shared_parameters_and_modules_come_once():
    shared = nn.Linear(2, 2)
    net = nn.Module()
    net.a, net.b = shared, shared
    net.weight = shared.weight
    assert names(net.named_parameters()) == ["weight", "a.bias"]
    assert names(net.named_parameters(remove_duplicate=False)) == [
        "weight",
        "a.weight",
        "a.bias",
        "b.weight",
        "b.bias",
    ]
    assert names(net.named_modules()) == ["", "a"]
    assert names(net.named_children()) == ["a"]


def test_a_subclass_may_forget_to_call_init():
    class Forgetful(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(2, 1)

        def forward(self, x):
            return self.layer(x)

    net = Forgetful()
    assert net(tn.zeros(5, 2)).shape == (5, 1)
    assert len(list(net.parameters())) == 2
    assert net.training
    handle = net.register_forward_hook(lambda module, args, output: output + 1)
    net.register_buffer("count", tn.zeros(1))
    handle.remove()


def test_a_module_without_forward_says_so():
    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match=r"Empty: a module needs a method forward"):
        Empty()(1)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("scale", tn.zeros(2), r"Net\.scale: it is a Parameter, cannot assign a Tensor"),
        ("first", 3, r"Net\.first: it is a Module, cannot assign a int"),
        ("mean", np.zeros(2), r"Net\.mean: it is a buffer, expected a Tensor or None, got ndarray"),
    ],
)
def test_assignments_that_would_lose_something_are_refused(name, value, message):
    net = Net()
    with pytest.raises(TypeError, match=message):
        setattr(net, name, value)


def test_what_was_deleted_or_set_to_none_is_gone():
    net = Net()
    net.scale = None
    del net.first
    assert names(net.named_parameters()) == ["second.weight", "second.bias"]


def test_registering_by_name():
    net = nn.Module()
    net.register_parameter("w", nn.Parameter(tn.zeros(1)))
    net.register_parameter("nothing", None)
    net.add_module("layer", nn.Identity())
    assert names(net.named_parameters()) == ["w"]
    assert net.nothing is None
    assert names(net.named_children()) == ["layer"]
    with pytest.raises(TypeError, match="'v' must be a Parameter or None, got Tensor"):
        net.register_parameter("v", tn.zeros(1))
    with pytest.raises(TypeError, match="'m' must be a Module or None, got int"):
        net.add_module("m", 1)
    with pytest.raises(KeyError, match="without a dot"):
        net.add_module("a.b", nn.Identity())
    with pytest.raises(KeyError, match="'w' already exists"):
        net.register_buffer("w", tn.zeros(1))
    with pytest.raises(TypeError, match="must be a Tensor or None, got list"):
        net.register_buffer("b", [1])


def test_submodules_by_path():
    net = nn.Module()
    net.block = nn.Sequential(nn.Identity(), nn.Linear(1, 1))
    assert net.get_submodule("block.1") is net.block[1]
    assert net.get_submodule("") is net
    with pytest.raises(AttributeError, match=r"Sequential has no module '7' .*it has: 0, 1"):
        net.get_submodule("block.7")


def test_modes_reach_everything_below():
    net = nn.Sequential(nn.Dropout(), nn.Sequential(nn.Dropout()))
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    net.train()
    assert all(module.training for module in net.modules())
    with pytest.raises(ValueError, match="mode must be a bool, got 'yes'"):
        net.train("yes")


def test_freezing_and_forgetting_gradients():
    net = Net()
    net(tn.ones(1, 4)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad(set_to_none=False)
    assert all(not host(p.grad).any() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())


def test_apply_visits_children_before_parents():
    seen = []
    net = nn.Sequential(nn.Sequential(nn.Identity()), nn.ReLU())
    net.apply(lambda module: seen.append(type(module).__name__))
    assert seen == ["Identity", "Sequential", "ReLU", "Sequential"]


def test_hooks_see_and_change_arguments_and_results():
    layer = nn.Identity()
    calls = []

    def before(module, args):
        calls.append(("before", module is layer, args[0].tolist()))
        return args[0] * 2  # a single value stands for a tuple of one

    def after(module, args, output):
        calls.append(("after", args[0].tolist(), output.tolist()))
        return output + 1

    first = layer.register_forward_pre_hook(before)
    second = layer.register_forward_hook(after)
    assert layer(tn.tensor([3.0])).tolist() == [7.0]
    assert calls == [("before", True, [3.0]), ("after", [6.0], [6.0])]
    first.remove()
    second.remove()
    second.remove()
    assert layer(tn.tensor([3.0])).tolist() == [3.0]


def test_hooks_run_in_order_and_may_remove_themselves():
    layer, order = nn.Identity(), []
    handles = [
        layer.register_forward_hook(lambda *_, n=number: (order.append(n), handles[n].remove())[0])
        for number in range(3)
    ]
    layer(tn.zeros(1))
    layer(tn.zeros(1))
    assert order == [0, 1, 2]


def test_a_deep_copy_is_independent_also_of_an_optimizers_memory():
    net = Net()
    optimizer = tn.optim.SGD(net.parameters(), lr=1.0)
    twin = copy.deepcopy(net)
    assert names(twin.named_parameters()) == names(net.named_parameters())
    before = [host(p) for p in twin.parameters()]
    net(tn.ones(1, 4)).sum().backward()
    optimizer.step()
    assert all((host(p) == b).all() for p, b in zip(twin.parameters(), before, strict=True))
    assert all(p.grad is None for p in twin.parameters())
    with tn.no_grad():
        twin.mean += 1
    assert not host(net.mean).any()


def test_a_deep_copy_ties_what_was_tied():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    twin = copy.deepcopy(net)
    assert twin[1].weight is twin[0].weight
    assert twin[0].weight is not net[0].weight


def test_repr_shows_the_tree_and_counts_parameters():
    net = nn.Module()
    net.body = nn.Sequential(nn.Linear(784, 256), nn.Dropout(0.1))
    net.head = nn.Linear(256, 10, bias=False).requires_grad_(False)
    assert repr(net) == (
        "Module(\n"
        "  (body): Sequential(\n"
        "    (0): Linear(in_features=784, out_features=256, bias=True)\n"
        "    (1): Dropout(p=0.1)\n"
        "  )\n"
        "  (head): Linear(in_features=256, out_features=10, bias=False)\n"
        ")  # 203,520 parameters, 2,560 of them frozen"
    )
    assert repr(nn.ReLU()) == "ReLU()"


# ---- moving


def test_to_moves_everything_and_keeps_the_parameters(device):
    net = Net()
    parameters = list(net.parameters())
    values = [host(p) for p in parameters]
    net(tn.ones(1, 4)).sum().backward()
    gradients = [host(p.grad) for p in parameters]
    assert net.to(device) is net
    assert all(a is b for a, b in zip(parameters, net.parameters(), strict=True))
    assert {str(t.device.type) for t in (*net.parameters(), *net.buffers())} == {device}
    for parameter, value, gradient in zip(parameters, values, gradients, strict=True):
        assert (host(parameter) == value).all()
        assert parameter.grad.device.type == device
        assert (host(parameter.grad) == gradient).all()
    assert net(tn.ones(1, 4, device=device)).device.type == device


def test_to_casts_floats_only():
    net = Net()
    net.register_buffer("count", tn.tensor([3]))
    net.to(tn.float64)
    assert {p.dtype.name for p in net.parameters()} == {"float64"}
    assert net.mean.dtype == np.float64
    assert net.count.dtype == np.int64
    assert net.to("cpu", "float16").scale.dtype == np.float16
    assert net.to(tn.zeros(1)).scale.dtype == np.float32
    assert net.to(device="cpu", dtype=tn.float64).scale.dtype == np.float64


def test_to_refuses_what_is_no_place():
    with pytest.raises(TypeError, match="floating dtypes only, got int64"):
        Net().to(tn.int64)
    with pytest.raises(ValueError, match="'tpu' is unknown"):
        Net().to("tpu")


def test_a_step_after_to_keeps_the_optimizers_memory():
    """Momentum gathered in float32 goes on in float64, with parameters that moved."""
    net = nn.Linear(2, 1, bias=False)
    optimizer = tn.optim.SGD(net.parameters(), lr=1.0, momentum=0.5)
    start = host(net.weight)
    net(tn.ones(1, 2)).sum().backward()
    optimizer.step()
    net.to(tn.float64)
    optimizer.zero_grad()
    net(tn.ones(1, 2, dtype=tn.float64)).sum().backward()
    optimizer.step()
    assert net.weight.dtype == np.float64
    # gradient 1: velocities 1 and 1.5
    np.testing.assert_allclose(host(net.weight), start - 2.5, rtol=1e-6)

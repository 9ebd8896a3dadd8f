"""tn.compile as the decorator of a method: each object has plans of its own."""

import gc
import weakref

import tinynn as tn


class Scaling:
    def __init__(self, factor):
        self.factor = factor

    @tn.compile
    def apply(self, x):
        return x * self.factor


class Network(tn.nn.Module):
    def __init__(self):
        self.layer = tn.nn.Linear(3, 2)

    @tn.compile
    def predict(self, x):
        return self.layer(x)


def test_objects_do_not_share_plans():
    double, triple = Scaling(2.0), Scaling(3.0)
    for _ in range(3):
        assert double.apply(tn.ones(2)).tolist() == [2.0, 2.0]
        assert triple.apply(tn.ones(2)).tolist() == [3.0, 3.0]
    assert double.apply is double.apply
    assert len(double.apply.plans) == len(triple.apply.plans) == 1
    assert double.apply.plan.replays == 2
    double.factor = 5.0
    assert double.apply(tn.ones(2)).tolist() == [5.0, 5.0]


def test_a_method_of_a_module():
    network, x = Network(), tn.rand(4, 3)
    with tn.no_grad():
        for _ in range(3):
            assert network.predict(x).tolist() == network.layer(x).tolist()
    assert network.predict.plan.replays == 2
    assert list(network.state_dict()) == ["layer.weight", "layer.bias"]


def test_an_object_with_a_compiled_method_ends():
    scaling = Scaling(2.0)
    scaling.apply(tn.ones(2))
    scaling.apply(tn.ones(2))
    reference = weakref.ref(scaling)
    del scaling
    gc.collect()
    assert reference() is None

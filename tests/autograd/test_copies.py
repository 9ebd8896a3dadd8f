"""copy.copy, copy.deepcopy and pickle of tensors, parameters and modules."""

import copy
import pickle

import numpy as np
import pytest

import tinynn as tn


@pytest.mark.parametrize("kind", [tn.Tensor, tn.nn.Parameter])
def test_copy_shares_memory_graph_and_gradient(kind):
    x = kind(np.ones(2, np.float32), requires_grad=True)
    twin = copy.copy(x)
    assert type(twin) is kind
    assert twin.data is x.data
    (x * 2).sum().backward()
    assert twin.grad.tolist() == [2, 2]


def test_a_change_through_a_copy_counts():
    x = tn.tensor([1.0, 2.0])
    weight = tn.ones(2, requires_grad=True)
    y = (x * weight).sum()
    copy.copy(x).add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_deepcopy_of_a_module_keeps_what_is_tied_tied():
    model = tn.nn.Sequential(tn.nn.Linear(2, 2), tn.nn.Linear(2, 2))
    model[1].weight = model[0].weight
    twin = copy.deepcopy(model)
    assert twin[1].weight is twin[0].weight
    assert not np.shares_memory(twin[0].weight.data, model[0].weight.data)
    assert isinstance(twin[0].weight, tn.nn.Parameter)
    twin(tn.ones(1, 2)).sum().backward()
    assert model[0].weight.grad is None


def test_a_computed_tensor_is_not_deepcopied():
    with pytest.raises(RuntimeError, match="detach"):
        copy.deepcopy(tn.ones(2, requires_grad=True) * 2)


def test_a_tensor_is_not_pickled():
    with pytest.raises(TypeError, match="save"):
        pickle.dumps(tn.ones(2))

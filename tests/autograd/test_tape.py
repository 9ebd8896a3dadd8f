"""The graph: how it is walked, kept, freed and thrown away."""

import gc
import weakref

import numpy as np
import pytest

import tinynn as tn
from tests.opinfo import OPINFOS
from tests.opinfo.calls import call, shown, tensors_of
from tests.opinfo.maker import Maker

LONG = 100_000


@pytest.fixture
def collector_off():
    """No garbage collection, so that whatever is in a reference cycle stays alive."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def leaf(*shape, low=0.5, high=1.5, seed=0):
    return tn.Tensor(np.random.default_rng(seed).uniform(low, high, shape), requires_grad=True)


def test_gradient_of_a_formula():
    a, b = tn.tensor(3.0, requires_grad=True), tn.tensor(4.0, requires_grad=True)
    (a * a * b + b).backward()
    assert a.grad.item() == 2 * 3 * 4
    assert b.grad.item() == 3 * 3 + 1


def test_a_number_used_several_times_collects_all_its_gradients():
    x = tn.tensor(3.0, requires_grad=True)
    (x * x).backward()
    assert x.grad.item() == 6
    (x + x + x).backward()
    assert x.grad.item() == 6 + 3
    assert type(x.grad.data) is np.ndarray


def test_backward_passes_add_up_until_grad_is_none():
    x = leaf(3)
    (x * 2).sum().backward()
    (x * 3).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [5, 5, 5])
    x.grad = None
    x.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [1, 1, 1])


def test_a_long_chain_runs_forward_and_backward():
    x = tn.tensor([1.0, 2.0], requires_grad=True)
    y = x
    for _ in range(LONG):
        y = y + 1
    y.backward(tn.tensor([1.0, 2.0]))
    np.testing.assert_array_equal(x.grad.numpy(), [1, 2])


@pytest.mark.parametrize("operation", [lambda y: y * y, tn.tanh, lambda y: y[...]])
def test_a_long_chain_is_thrown_away_without_backward(operation):
    y = tn.tensor([0.5], requires_grad=True)
    for _ in range(LONG):
        y = operation(y)
    del y


def test_a_long_chain_of_recorded_gradients():
    x = tn.tensor([0.5], requires_grad=True)
    y = x
    for _ in range(2_000):
        y = y * 1.0001
    (first,) = tn.grad(y.sum(), x, create_graph=True)
    assert not first.requires_grad or first.backward() is None
    assert first.item() == pytest.approx(1.0001**2000, rel=1e-4)


def test_a_wide_graph():
    x = leaf(4)
    total = x.sum() * 0
    for number in range(3_000):
        total = total + (x * number).sum()
    total.backward()
    np.testing.assert_allclose(x.grad.numpy(), sum(range(3_000)))


def test_shared_parts_are_walked_once():
    """A ladder of doublings has 2^200 paths."""
    x = tn.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(200):
        y = (y + y) * 0.5
    y.backward()
    assert x.grad.item() == 1


def test_graphs_have_no_reference_cycles(collector_off):
    """For every operation: results, their nodes and arrays die with the last reference."""
    for info in OPINFOS.values():
        for arguments in info.samples(Maker(3, info.usual_dtype)):
            with shown((info.name, arguments)):
                tensors, leaves = tensors_of(info, arguments, requires_grad=info.differentiable)
                results = call(info, tensors)
                watched = [weakref.ref(part) for part in results]
                watched += [weakref.ref(part.node) for part in results if not part.is_leaf]
                given = {id(item) for item in leaves}
                results = [part for part in results if id(part) in given]
                watched = [ref for ref in watched if ref() not in results]
                del tensors
                assert [ref() for ref in watched] == [None] * len(watched)


def test_backward_leaves_no_reference_cycles(collector_off):
    x = leaf(4, 3)
    y = (x.exp() @ tn.ones(3, 2, dtype=tn.float64)).tanh().sum()
    refs = [weakref.ref(y.node), weakref.ref(y.data), weakref.ref(x.node)]
    (first,) = tn.grad(y, x, create_graph=True)
    (first * first).sum().backward()
    refs += [weakref.ref(first.node), weakref.ref(x.grad.data)]
    del x, y, first
    assert [ref() for ref in refs] == [None] * len(refs)


def test_memory_is_freed_during_backward():
    """When the gradient reaches a layer, what the later layers saved is gone."""
    x = leaf(8)
    first = x.exp()
    middle = first.exp().exp()
    last = middle.sin()
    late, early = weakref.ref(middle.data), weakref.ref(first.data)
    alive = []
    first.register_hook(lambda gradient: alive.append((late() is None, early() is None)))
    total = last.sum()
    del first, middle, last
    assert late() is not None
    total.backward()
    assert alive == [(True, False)]
    assert early() is None


def test_gradients_of_inner_tensors_are_freed_during_backward():
    x = leaf(8)
    y = x * 2
    z = (y * 3).tanh()
    gradients = []
    z.register_hook(lambda gradient: gradients.append(weakref.ref(gradient.data)))
    alive = []
    x.register_hook(lambda gradient: alive.append(gradients[0]() is not None))
    (z * 4).sum().backward()
    assert alive == [False]


def test_a_second_backward_says_that_the_graph_was_freed():
    x = leaf(3)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=r"freed \(at operation sum\).*retain_graph=True"):
        y.backward()


def test_grad_says_that_the_graph_was_freed():
    x = leaf(3)
    y = (x * x).sum()
    tn.grad(y, x)
    with pytest.raises(RuntimeError, match="graph was freed"):
        tn.grad(y, x)


def test_a_part_shared_with_a_freed_graph_is_freed():
    x = leaf(3)
    shared = x.exp()
    other = (shared * 2).sum()
    shared.sum().backward()
    with pytest.raises(RuntimeError, match=r"freed \(at operation exp\)"):
        other.backward()


def test_retain_graph_allows_another_backward():
    x = leaf(3)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_allclose(x.grad.numpy(), 4 * x.detach().numpy())


def test_backward_needs_something_recorded():
    with pytest.raises(RuntimeError, match="backward: the tensor does not require grad"):
        tn.tensor(1.0).backward()


def test_backward_of_several_elements_needs_a_gradient():
    x = leaf(2, 3)
    with pytest.raises(RuntimeError, match=r"one element, this one has shape \(2, 3\)"):
        (x * 2).backward()
    with pytest.raises(RuntimeError, match=r"gradient has shape \(3,\), the tensor \(2, 3\)"):
        (x * 2).backward(tn.ones(3))


def test_backward_takes_a_gradient_of_another_dtype():
    x = tn.tensor([1.0, 2.0], requires_grad=True)
    (x * 2).backward(tn.tensor([1, 2]))
    assert x.grad.dtype == tn.float32
    assert x.grad.tolist() == [2, 4]


def test_backward_from_a_leaf():
    x = leaf(3)
    x.backward(tn.tensor([1.0, 2.0, 3.0], dtype=tn.float64))
    assert x.grad.tolist() == [1, 2, 3]


def test_only_floats_can_require_grad():
    for data in ([1, 2], [True, False]):
        with pytest.raises(RuntimeError, match="only floats"):
            tn.tensor(data, requires_grad=True)


def test_integers_in_a_graph_take_no_part():
    x, n = leaf(3), tn.tensor([1, 2, 3])
    (x * n).sum().backward()
    assert x.grad.tolist() == [1, 2, 3]
    assert n.grad is None
    assert not (n * 2).requires_grad


def test_tensors_on_two_devices_are_refused():
    x, y = tn.ones(3), tn.ones(3).to("fake")
    with pytest.raises(RuntimeError, match=r"^add: tensors are on two devices, cpu and fake"):
        x + y
    with pytest.raises(RuntimeError, match=r"^mul: tensors are on two devices, fake and cpu"):
        y * x
    with pytest.raises(RuntimeError, match=r"^cat: tensors are on two devices"):
        tn.cat([x, y])


def test_gradients_cross_devices(device):
    x = tn.tensor([1.0, 2.0], requires_grad=True)
    (x.to(device) * 3).to("cpu").sum().backward()
    assert x.grad.device == "cpu"
    assert x.grad.tolist() == [3, 3]


def test_gradients_keep_each_dtype_on_the_way():
    x = tn.tensor([1.0, 2.0], dtype=tn.float16, requires_grad=True)
    y = tn.tensor([1.0, 2.0], dtype=tn.float64, requires_grad=True)
    middle = x * 2
    middle.retain_grad()
    (middle * y).sum().backward()
    assert (x.grad.dtype, middle.grad.dtype, y.grad.dtype) == (tn.float16, tn.float16, tn.float64)

"""FlatParameters: who lies where, what is a view of what, and what a step touches."""

import gc
import weakref

import numpy as np
import pytest

import tinynn as tn
from tests.arrays import host
from tinynn import nn
from tinynn.optim.flat_parameters import gradient_runs


def model(device="cpu"):
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).to(device)


def flat_of(optimizer):
    (flat,) = optimizer.flat_parameters
    return flat


def backward(net):
    net(tn.ones(2, 3, device=next(net.parameters()).device)).sum().backward()


def test_values_stay_and_become_views(device):
    net = model(device)
    before = [host(p) for p in net.parameters()]
    flat = tn.optim.FlatParameters(list(net.parameters()))
    assert flat.data.shape == flat.grad.shape == (26,)
    expected = np.concatenate([values.ravel() for values in before])
    assert (host(tn.Tensor(flat.data)) == expected).all()
    flat.data[...] = 2.0
    assert all((host(p) == 2).all() for p in net.parameters())
    net[0].bias.data[...] = 5.0
    assert host(tn.Tensor(flat.data))[12:16].tolist() == [5.0] * 4


def test_gradients_are_none_until_written_and_then_views(device):
    net = model(device)
    flat = flat_of(tn.optim.SGD(net.parameters(), lr=0.1))
    assert all(p.grad is None for p in net.parameters())
    backward(net)
    expected = np.concatenate([host(p.grad).ravel() for p in net.parameters()])
    assert expected.any()
    assert (host(tn.Tensor(flat.grad)) == expected).all()
    flat.grad[...] = 1.0
    assert all((host(p.grad) == 1).all() for p in net.parameters())


def test_gradients_are_summed_in_place_and_forgotten():
    net = model()
    flat = flat_of(tn.optim.SGD(net.parameters(), lr=0.1))
    backward(net)
    once = flat.grad.copy()
    backward(net)
    np.testing.assert_allclose(flat.grad, 2 * once)
    net.zero_grad()
    backward(net)  # begins anew, not on top of what is in the buffer
    assert (flat.grad == once).all()


def test_gradients_in_flat_memory_are_those_without():
    net, plain = model(), model()
    plain.load_state_dict(net.state_dict())
    tn.optim.SGD(net.parameters(), lr=0.1)
    for module in (net, plain):
        backward(module)
    for p, q in zip(net.parameters(), plain.parameters(), strict=True):
        assert (host(p.grad) == host(q.grad)).all()


def test_asking_for_gradients_apart_leaves_flat_memory_alone():
    net = model()
    flat = flat_of(tn.optim.SGD(net.parameters(), lr=0.1))
    backward(net)
    before = flat.grad.copy()
    loss = (net(tn.ones(2, 3)) ** 2).sum()
    results = tn.grad(loss, list(net.parameters()))
    assert (flat.grad == before).all()
    kept = [host(result) for result in results]
    net.zero_grad()
    backward(net)
    assert all((host(r) == k).all() for r, k in zip(results, kept, strict=True))


def test_tied_parameters_lie_there_once():
    net = nn.Module()
    net.first, net.second = nn.Linear(3, 3), nn.Linear(3, 3)
    net.second.weight = net.first.weight
    assert flat_of(tn.optim.SGD(net.parameters(), lr=0.1)).data.size == 9 + 3 + 3


def test_frozen_parameters_stay_where_they_are():
    net = model()
    net[0].requires_grad_(False)
    memory = net[0].weight.data
    optimizer = tn.optim.SGD(net.parameters(), lr=0.1)
    assert flat_of(optimizer).data.size == 10
    assert net[0].weight.data is memory
    backward(net)
    optimizer.step()
    assert net[0].weight.data is memory


def test_what_is_unfrozen_joins_at_the_next_step():
    net = model()
    net[0].requires_grad_(False)
    optimizer = tn.optim.SGD(net.parameters(), lr=1.0, momentum=0.5)
    backward(net)
    optimizer.step()
    velocity = host(optimizer.state[net[2].bias]["momentum_buffer"])
    net[0].requires_grad_(True)
    net.zero_grad()
    backward(net)
    before, gradient = host(net[0].weight), host(net[0].weight.grad)
    optimizer.step()
    np.testing.assert_allclose(host(net[0].weight), before - gradient)
    assert flat_of(optimizer).data.size == 26
    expected = velocity * 0.5 + host(net[2].bias.grad)
    np.testing.assert_allclose(host(optimizer.state[net[2].bias]["momentum_buffer"]), expected)


def test_what_was_frozen_and_thawed_writes_to_its_old_place():
    net = model()
    optimizer = tn.optim.SGD(net.parameters(), lr=0.1)
    flat = flat_of(optimizer)
    net.requires_grad_(False)
    net.requires_grad_(True)
    backward(net)
    optimizer.step()
    assert flat_of(optimizer) is flat
    net.zero_grad()
    backward(net)
    flat.grad[...] = 3.0
    assert all((host(p.grad) == 3).all() for p in net.parameters())


def test_successive_optimizers_share_memory():
    net = model()
    first = flat_of(tn.optim.SGD(net.parameters(), lr=0.1))
    second = flat_of(tn.optim.AdamW(net.parameters()))
    assert np.shares_memory(first.data, second.data)
    assert np.shares_memory(first.grad, second.grad)
    head = flat_of(tn.optim.AdamW(net[2].parameters()))  # a stretch of the same memory
    assert np.shares_memory(head.data, first.data)
    assert head.data.size == 10


def test_two_optimizers_may_take_turns():
    """A parameter moves to the memory of whoever steps; its values are right all the same."""
    weight, bias = nn.Parameter(tn.zeros(2)), nn.Parameter(tn.zeros(2))
    both = tn.optim.SGD([weight, bias], lr=1.0)
    reverse = tn.optim.SGD([bias, weight], lr=10.0)
    for optimizer in (both, reverse, both):
        optimizer.zero_grad()
        (weight + 2 * bias).sum().backward()
        optimizer.step()
    assert weight.tolist() == [-12.0, -12.0]
    assert bias.tolist() == [-24.0, -24.0]


def test_arrays_put_in_by_hand_are_taken_along():
    net = model()
    optimizer = tn.optim.SGD(net.parameters(), lr=1.0)
    flat = flat_of(optimizer)
    shared = tn.ones(4)
    net[0].bias.data = np.full(4, 10.0, np.float32)
    net[0].bias.grad = shared
    net[2].weight.grad = tn.ones(2, 4)
    optimizer.step()
    assert net[0].bias.tolist() == [9.0] * 4
    assert shared.tolist() == [1.0] * 4
    assert flat_of(optimizer) is flat
    assert np.shares_memory(flat.data, net[0].bias.data)


def test_only_written_stretches_are_touched():
    """Neighbours with a gradient are one run; NaN in the memory of others is never read."""
    net = model()
    optimizer = tn.optim.AdamW(net.parameters(), lr=0.1)
    (block,) = optimizer._blocks
    block.flat.grad[...] = np.nan
    for parameter in (net[0].bias, net[2].weight):
        parameter.sum().backward()
    assert [(run.first, run.last) for run in block.runs()] == [(1, 2)]
    untouched = [host(net[0].weight), host(net[2].bias)]
    optimizer.step()
    assert (host(net[0].weight) == untouched[0]).all()
    assert (host(net[2].bias) == untouched[1]).all()
    assert np.isfinite(block.flat.data).all()
    backward(net)
    assert [(r.first, r.last, r.steps) for r in block.runs()] == [(0, 0, 0), (1, 2, 1), (3, 3, 0)]


def test_one_run_when_all_are_written():
    net = model()
    optimizer = tn.optim.AdamW(net.parameters())
    backward(net)
    assert [(run.first, run.last) for run in optimizer._blocks[0].runs()] == [(0, 3)]


def test_one_buffer_for_each_dtype():
    net = nn.Module()
    net.single, net.double = nn.Linear(2, 2), nn.Linear(2, 2, dtype=tn.float64)
    optimizer = tn.optim.SGD(net.parameters(), lr=0.1)
    assert [flat.data.dtype.name for flat in optimizer.flat_parameters] == ["float32", "float64"]


def test_gradient_runs_merge_what_is_side_by_side():
    net = model()
    loose = nn.Parameter(tn.ones(3))
    tn.optim.SGD(net.parameters(), lr=0.1)
    backward(net)
    loose.sum().backward()
    sizes = [run.size for run in gradient_runs([*net.parameters(), loose])]
    assert sorted(sizes) == [3, 26]
    net[0].bias.grad = None
    assert sorted(run.size for run in gradient_runs(net.parameters())) == [10, 12]


def test_nothing_is_kept_alive():
    net = model()
    optimizer = tn.optim.SGD(net.parameters(), lr=0.1)
    backward(net)
    optimizer.step()
    dead = [weakref.ref(p) for p in net.parameters()]
    gc.disable()
    try:
        del net, optimizer
        assert all(reference() is None for reference in dead)
    finally:
        gc.enable()


def test_moving_lays_out_anew():
    net = model()
    optimizer = tn.optim.SGD(net.parameters(), lr=0.1)
    net.to("fake")
    before = [host(p) for p in net.parameters()]
    backward(net)
    gradients = [host(p.grad) for p in net.parameters()]
    optimizer.step()
    assert str(tn.Tensor(flat_of(optimizer).data).device) == "fake"
    for p, b, g in zip(net.parameters(), before, gradients, strict=True):
        np.testing.assert_allclose(host(p), b - np.float32(0.1) * g, rtol=1e-6)


def test_memory_that_was_left_is_freed():
    net = model()
    memory = weakref.ref(flat_of(tn.optim.SGD(net.parameters(), lr=0.1)).places[0].buffers[0])
    assert memory() is not None  # shared with the next optimizer
    net.to(tn.float64)
    assert memory() is None


def test_empty_parameters_have_a_place():
    empty, full = nn.Parameter(tn.zeros(0, 3)), nn.Parameter(tn.ones(2))
    optimizer = tn.optim.SGD([empty, full], lr=1.0)
    (full.sum() + empty.sum()).backward()
    optimizer.step()
    assert full.tolist() == [0.0, 0.0]
    assert empty.shape == (0, 3)


@pytest.mark.parametrize("layout", ["transposed", "strided"])
def test_any_layout_of_memory(layout):
    base = np.arange(12, dtype=np.float32).reshape(4, 3)
    array = base.T if layout == "transposed" else base[::2]
    weight = nn.Parameter(array)
    tn.optim.FlatParameters([weight])
    assert (host(weight) == array).all()


@pytest.mark.parametrize(
    ("shape", "dtype"), [((2, 5), "float32"), ((2, 3), "float64")], ids=["shape", "dtype"]
)
def test_a_place_that_no_longer_fits_is_not_written_to(shape, dtype):
    """Between `p.data = ...` and the next step, p's place is that of another array."""
    weight = tn.nn.Parameter(tn.ones(2, 3))
    optimizer = tn.optim.SGD([weight], lr=1.0)
    weight.data = np.ones(shape, dtype)
    x = tn.ones(4, shape[1], dtype=dtype)
    (tn.nn.functional.linear(x, weight).sum() + weight.sum()).backward()
    assert weight.grad.dtype == dtype
    np.testing.assert_array_equal(weight.grad.numpy(), np.full(shape, 5, dtype))
    optimizer.step()
    np.testing.assert_array_equal(weight.detach().numpy(), np.full(shape, -4, dtype))

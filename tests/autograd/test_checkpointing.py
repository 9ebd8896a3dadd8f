"""Gradient checkpointing: nothing but memory and time tells it from an ordinary call."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import tinynn as tn
from tinynn.nn import functional as F


def checkpoint_never(function, *arguments, **keywords):
    return function(*arguments, **keywords)


def bits(value):
    """Tensors, also within containers, so that equality is that of every bit."""
    if isinstance(value, tn.Tensor):
        return str(value.dtype), value.shape, value.detach().numpy().tobytes()
    if isinstance(value, dict):
        return {key: bits(item) for key, item in value.items()}
    return [bits(item) for item in value] if isinstance(value, tuple | list) else value


def both(run):
    """Asserts that what `run(checkpoint)` returns is the same with and without."""
    expected = bits(run(checkpoint_never))
    assert bits(run(tn.checkpoint)) == expected


def leaf(*shape, seed=0):
    numbers = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return tn.tensor(numbers, requires_grad=True)


def block(width=6, dropout=0.0):
    layers = [tn.nn.Linear(width, 9), tn.nn.GELU(), tn.nn.Dropout(dropout), tn.nn.Linear(9, width)]
    return tn.nn.Sequential(tn.nn.LayerNorm(width), *layers)


# ---- the same numbers


def test_results_and_gradients_are_the_same_bits():
    def run(checkpoint):
        tn.manual_seed(0)
        x, model = leaf(5, 6), tn.nn.Sequential(block(), block(), block())
        y = x
        for layer in model:
            y = y + checkpoint(layer, y)
        (y**2).mean().backward()
        return y, x.grad, [parameter.grad for parameter in model.parameters()]

    both(run)


def test_every_operation_may_stand_inside():
    """Views, in-place changes of what is made inside, saved results, indices, casts, joins."""

    def function(x, rows):
        y = (x * 2).exp() + x.tanh()
        with tn.no_grad():
            y[1] = y[0] * x[2]
        y = tn.where(y > 1, y, y.sqrt().abs())
        y = tn.cat([y[rows], y.T.reshape(-1, 3)[:4]])
        return F.softmax(y, dim=1).to(tn.float64).cumsum(0).max(dim=1).values + y.std()

    def run(checkpoint):
        x = leaf(4, 3)
        y = checkpoint(function, x.abs() + 1, tn.tensor([3, 0, 0]))
        (y * y).sum().backward()
        return y, x.grad

    both(run)


def test_dropouts_drop_the_same_units_and_count_no_further_step():
    def run(checkpoint):
        tn.manual_seed(0)
        model, x, results = block(dropout=0.5), leaf(5, 6), []
        for _ in range(3):
            y = checkpoint(model, x)
            y = y + checkpoint(lambda z: F.dropout(z, 0.3) * tn.rand(5, 1), y)
            tn.manual_seed(7)  # the seed of the first run counts
            y.sum().backward()
            results += [y, x.grad.clone(), model[3].step]
        return results, tn.rand(3), [parameter.grad for parameter in model.parameters()]

    both(run)


def test_random_numbers_inside_may_be_changed_in_place():
    def noisy(x):
        noise = tn.randn(5, 6)
        noise *= 3
        return x * noise

    def run(checkpoint):
        tn.manual_seed(0)
        x = leaf(5, 6)
        checkpoint(noisy, x).sum().backward()
        return x.grad

    both(run)


def test_what_goes_in_and_comes_out_may_be_nested():
    def function(pair, *, scale, rows, name):
        a, b = pair["a"], pair["b"]
        assert name == "it"
        return {
            "sum": a + b,
            "others": [a * scale, (b[rows].sigmoid(), 7)],
            "given": a,
            "none": None,
        }

    def run(checkpoint):
        a, b, constant = leaf(4, 3), leaf(4, 3, seed=1), leaf(3).detach()
        found = checkpoint(
            function, {"a": a, "b": b}, scale=constant, rows=tn.tensor([1, 1]), name="it"
        )
        first, (second, seven) = found["others"]
        assert (found["given"], seven, found["none"]) == (a, 7, None)
        (found["sum"].exp().sum() + first.sum() * second.sum()).backward()
        return found, a.grad, b.grad

    both(run)


def test_only_some_outputs_may_be_used():
    def run(checkpoint):
        x = leaf(4, 3)
        _, second, _ = checkpoint(lambda x: (x.exp(), x.tanh(), x.detach() * 2), x)
        second.sum().backward()
        return x.grad

    both(run)


def test_a_checkpoint_within_a_checkpoint():
    def run(checkpoint):
        tn.manual_seed(0)
        x, layers = leaf(5, 6), [block(dropout=0.2) for _ in range(4)]

        def pair(x, first):
            return checkpoint(layers[first + 1], checkpoint(layers[first], x).sigmoid()) * x

        def all_of(x):
            return checkpoint(pair, checkpoint(pair, x, 0), first=2).exp()

        y = checkpoint(all_of, x)
        y.sum().backward()
        parameters = [parameter for layer in layers for parameter in layer.parameters()]
        return y, x.grad, [parameter.grad for parameter in parameters]

    both(run)


def test_gradients_of_gradients():
    def run(checkpoint):
        x, w = leaf(5, 3), leaf(3, 3, seed=1)

        def function(x):
            return checkpoint(lambda x: F.linear(x, w).tanh() * x.exp(), x) * w.sum()

        (slope,) = tn.grad(checkpoint(function, x).sum(), x, create_graph=True)
        (bend,) = tn.grad((slope**2).sum(), x, create_graph=True)
        bend.sum().backward()
        return slope, bend, x.grad, w.grad

    both(run)


def test_gradients_of_gradients_reach_tensors_inside():
    """A tensor that leaked out of the function is a part of one graph, not of two."""

    def run(checkpoint):
        x, inside = leaf(4), []

        def function(x):
            inside.append(x.exp())
            return inside[-1] ** 3

        y = checkpoint(function, x)
        h = inside[0]
        (slope,) = tn.grad(y.sum(), x, create_graph=True)
        return (slope, *tn.grad(slope.sum(), h, retain_graph=True), *tn.grad(slope.sum(), x))

    both(run)


def test_a_graph_that_is_kept_is_walked_twice_and_then_freed():
    def run(checkpoint):
        x = leaf(4)
        y = checkpoint(lambda x: x.exp().tanh(), x).sum()
        y.backward(retain_graph=True)
        y.backward()
        with pytest.raises(RuntimeError, match="the graph was freed"):
            y.backward()
        return x.grad

    both(run)


def test_a_backward_inside_the_function():
    def function(x):
        y = x.detach().requires_grad_()
        (slope,) = tn.grad((y**3).sum(), y)
        return x * slope

    def run(checkpoint):
        x = leaf(4)
        checkpoint(function, x).sum().backward()
        return x.grad

    both(run)


def test_without_gradients_it_is_only_called():
    calls = []

    def function(x):
        calls.append(tn.is_grad_enabled())
        return x * 2

    x = leaf(3)
    with tn.no_grad():
        assert not tn.checkpoint(function, x).requires_grad
    assert not tn.checkpoint(function, x.detach()).requires_grad
    assert tn.checkpoint(lambda: 7) == 7
    assert calls == [False, True]


def test_the_second_run_records_though_backward_is_called_under_no_grad():
    x = leaf(3)
    y = tn.checkpoint(lambda x: x.exp() if tn.is_grad_enabled() else x, x).sum()
    with tn.no_grad():
        y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.exp(x.detach().numpy()))


def test_two_threads_at_once():
    """Each has its own second runs and draws its own numbers."""
    layers, found = [tn.nn.Dropout(0.5) for _ in range(2)], {}

    def work(number):
        x = tn.ones(40, 50, requires_grad=True)
        for _ in range(20):
            x.grad = None
            y = tn.checkpoint(lambda x: layers[number](x) * x, x)
            y.sum().backward()
        found[number] = bool((x.grad == 2 * y.detach()).all()), layers[number].step

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {0: (True, 20), 1: (True, 20)}


# ---- hooks


def test_hooks_on_tensors_are_called_once():
    seen = []

    def function(x):
        y = x.exp()
        y.register_hook(lambda gradient: seen.append("inside") or gradient * 2)
        y.retain_grad()
        kept.append(y)
        return y * 3

    x, kept = leaf(3), []
    z = tn.checkpoint(function, x)
    z.register_hook(lambda gradient: seen.append("out"))
    x.register_hook(lambda gradient: seen.append("in"))
    z.sum().backward()
    assert seen == ["out", "inside", "in"]
    assert kept[0].grad.tolist() == [6, 6, 6]
    np.testing.assert_allclose(x.grad.numpy(), 6 * np.exp(x.detach().numpy()), rtol=1e-6)


def test_hooks_and_gradients_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    from torch.utils import checkpoint as torch_checkpoint

    def events_of(engine, checkpoint):
        events, nn = [], engine.nn
        inner, outer = nn.Sequential(nn.Linear(6, 9), nn.Tanh()), nn.Linear(9, 6)
        for number, parameter in enumerate([*inner.parameters(), *outer.parameters()]):
            shape = tuple(parameter.shape)
            values = np.random.default_rng(number).standard_normal(shape).astype(np.float32)
            parameter.data = engine.tensor(values).data
        inner.register_forward_pre_hook(lambda *_: events.append("before inner"))
        inner.register_forward_hook(lambda *_: events.append("after inner"))
        outer.register_forward_hook(lambda *_: events.append("after outer"))

        def function(x, rows, *, scale):
            h = checkpoint(inner, x)
            h.register_hook(lambda gradient: events.append("gradient of h"))
            return {"out": [outer(h)[rows] * scale, h]}

        x = engine.tensor(np.linspace(-1, 1, 24, dtype=np.float32).reshape(4, 6))
        x.requires_grad_().register_hook(lambda gradient: events.append("gradient of x"))
        found = checkpoint(function, x, engine.tensor([2, 0, 2]), scale=0.5)
        out, h = found["out"]
        loss = (out**2).sum() + h.exp().sum()
        (slope,) = engine.autograd.grad(loss, x, create_graph=True)
        events.append("second order")
        ((slope**2).sum() + loss).backward()
        gradients = [x.grad, *(p.grad for p in (*inner.parameters(), *outer.parameters()))]
        return events, [gradient.detach().numpy() for gradient in gradients]

    def checkpoint_in_torch(function, *arguments, **keywords):
        return torch_checkpoint.checkpoint(function, *arguments, use_reentrant=False, **keywords)

    with torch_checkpoint.set_checkpoint_early_stop(False):
        their_events, theirs = events_of(torch, checkpoint_in_torch)
    my_events, mine = events_of(tn, tn.checkpoint)
    assert my_events == their_events
    for ours, its in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(ours, its, rtol=1e-4, atol=1e-5)


def test_changes_inside_a_second_run_are_no_fault():
    """What is made inside may be changed in place, also as the argument of an inner call."""

    def function(x):
        h = x + 2
        with tn.no_grad():
            h += 1
        inner = tn.checkpoint(lambda h: h * h.exp(), h)
        return tn.checkpoint(lambda h, inner: h * inner, h, inner)

    def run(checkpoint):
        x = leaf(4)
        y = checkpoint(function, x)
        y.sum().backward()
        return y, x.grad

    both(run)

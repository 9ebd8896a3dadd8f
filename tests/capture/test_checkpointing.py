"""Checkpointed functions in a compiled step: the same bits, in less memory."""

from __future__ import annotations

import pytest

import tinynn as tn
from tests.capture.twice import Training, agree, batches_of, bits, run
from tinynn.nn import functional as F


class Block(tn.nn.Module):
    def __init__(self, width=6, inner=9, dropout=0.3):
        self.norm = tn.nn.LayerNorm(width)
        self.first, self.last = tn.nn.Linear(width, inner), tn.nn.Linear(inner, width)
        self.dropout = tn.nn.Dropout(dropout)

    def forward(self, x):
        return x + self.dropout(self.last(F.relu(self.first(self.norm(x)))))


def training(checkpoint, outer=False, **sizes):
    def make():
        blocks = tn.nn.ModuleList(Block(**sizes) for _ in range(3))
        optimizer = tn.optim.AdamW(blocks.parameters(), lr=1e-2)

        def all_of(x):
            for block in blocks:
                x = checkpoint(block, x) * (1 + tn.rand(1) / 10)
            return x

        def step(x):
            loss = ((checkpoint(all_of, x) if outer else all_of(x)) ** 2).mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss

        return Training(step, [blocks], [optimizer])

    return make


def plain(function, *arguments):
    return function(*arguments)


BATCHES = batches_of(8, (5, 6))


@pytest.mark.parametrize("outer", [False, True], ids=["apart", "nested"])
def test_replays_are_the_steps_themselves(outer):
    agree(training(tn.checkpoint, outer), BATCHES, fuse=False)


@pytest.mark.parametrize("outer", [False, True], ids=["apart", "nested"])
def test_a_plan_gives_the_bits_of_one_that_keeps_all(outer):
    expected, its, _ = run(training(plain), BATCHES, wrap=tn.compile)
    found, mine, step = run(training(tn.checkpoint, outer), BATCHES, wrap=tn.compile)
    assert found == expected
    assert mine.state() == its.state()
    operations = [call.operation for call in step.plan.calls]
    assert operations.count("linear") < operations.count("linear_activation")  # joined both times


def test_a_plan_takes_less_memory():
    batches = batches_of(2, (64, 16))
    sizes = {"width": 16, "inner": 256, "dropout": 0.0}
    _, _, kept = run(training(plain, **sizes), batches, wrap=tn.compile)
    _, _, again = run(training(tn.checkpoint, **sizes), batches, wrap=tn.compile)
    inside = 64 * 256 * 4  # bytes of what comes out of one first layer
    assert kept.plan.layout.arena_bytes - again.plan.layout.arena_bytes >= 2 * inside


def test_what_is_not_joined_in_the_first_run_is_not_in_the_second():
    """Others see what goes in between linear and activation, but not in the second run."""

    def make():
        layer = tn.nn.Linear(6, 6)

        def function(x):
            hidden = F.linear(x, layer.weight, layer.bias)
            return F.relu(hidden), hidden

        def step(x):
            result, hidden = tn.checkpoint(function, x)
            joined = tn.checkpoint(lambda x: F.relu(layer(x)), x)
            (result.sum() + (hidden * x).sum() + joined.sum()).backward()
            gradient = layer.weight.grad.clone()
            layer.zero_grad()
            return gradient

        return Training(step, [layer])

    compiled = agree(make, BATCHES, fuse=True)
    operations = {call.operation for call in compiled.plan.calls}
    assert {"linear", "linear_activation"} <= operations


def test_a_function_that_does_something_else_is_refused():
    functions = [F.relu, F.tanh]
    x = tn.ones(3)

    def step(x):
        y = tn.checkpoint(lambda x: functions.pop(0)(x * 2), x.detach().requires_grad_())
        y.sum().backward()
        return y.detach()

    with pytest.raises(RuntimeError, match=r"computed again, operation tanh .*before it was relu"):
        tn.compile(step)(x)


def test_a_compiled_layer_may_be_called_again():
    """In training it runs as it is, once it has been found that it cannot be recorded."""
    layer = Block(dropout=0.5)
    compiled = tn.compile(layer)
    x, gradients = tn.ones(4, 6), []
    for function in (lambda: tn.checkpoint(compiled, x), lambda: layer(x)):
        layer.dropout.step = 0
        function().sum().backward()
        gradients.append(bits(layer.first.weight.grad.data))
        layer.zero_grad()
        assert layer.dropout.step == 1
    assert gradients[0] == gradients[1]

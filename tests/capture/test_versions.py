"""Memory that a replay has written to counts as changed: graphs that saved it refuse to run."""

from __future__ import annotations

import pytest

import tinynn as tn
from tests.capture.twice import bits


def test_graphs_from_before_a_replay():
    layer = tn.nn.Linear(3, 2)
    optimizer = tn.optim.SGD(layer.parameters(), lr=0.1)

    @tn.compile
    def step(x):
        layer(x).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    x = tn.ones(4, 3)
    for _ in range(3):
        inputs = tn.ones(4, 3, requires_grad=True)
        loss = layer(inputs).sum()
        step(x)
        with pytest.raises(RuntimeError, match="changed"):
            loss.backward()
    layer(inputs).sum().backward()  # a graph of its own is right
    assert bits(inputs.grad[0].data) == bits(layer.weight.sum(0).data)


def test_buffers_and_views_of_them():
    table = tn.zeros(4, 3)

    @tn.compile
    def step(x):
        table[1:3].mul_(2).add_(x)

    for number in range(3):
        weight = tn.ones(3, requires_grad=True)
        products = [(part * weight).sum() for part in (table, table[0], table.T[:, 0][:3])]
        step(tn.ones(3))
        for product in products:
            with pytest.raises(RuntimeError, match="changed"):
                product.backward()
        assert table[1].tolist() == [2.0 ** (number + 1) - 1] * 3


def test_what_is_only_read_is_not_changed():
    layer, x = tn.nn.Linear(3, 2), tn.ones(4, 3)
    forward = tn.compile(lambda x: layer(x) * table)
    table = tn.ones(2)
    for _ in range(3):
        loss = (layer(x) * table).sum()
        with tn.no_grad():
            forward(x)
        loss.backward()
    assert layer.bias.grad.tolist() == [12.0, 12.0]

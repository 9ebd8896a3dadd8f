"""On a device with graphs a plan is one: arguments are copied to where the graph reads them."""

import numpy as np
import pytest

import tinynn as tn
from tests.opinfo.calls import to_numpy
from tinynn.backend.devices import Device, backend_for


@pytest.fixture
def launches(monkeypatch):
    """Gives the fake device graphs; collects the number of calls of each launch."""
    made = []

    def graph_of(calls):
        calls = tuple(calls)  # a graph keeps the calls as they were when it was made
        return lambda: made.append(len([call() for call in calls]))

    monkeypatch.setattr(backend_for(Device("fake")), "graph_of", graph_of)
    return made


def make_step(device):
    tn.manual_seed(0)
    model = tn.models.MLP([6, 5, 3], dropout=0.2).to(device=device)
    optimizer = tn.optim.AdamW(model.parameters(), lr=0.05)

    def step(x, y):
        loss = tn.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return step


def batches(device):
    random = np.random.default_rng(0)
    for _ in range(6):
        x, y = random.standard_normal((2000, 6), dtype=np.float32), random.integers(0, 3, 2000)
        yield tn.tensor(x).to(device), tn.tensor(y).to(device)


def test_a_graph_gives_what_the_calls_give(launches):
    compiled = tn.compile(make_step("fake"))
    eager = make_step("fake")
    for x, y in batches("fake"):
        assert to_numpy(compiled(x, y)) == to_numpy(eager(x, y))
    assert launches == [len(compiled.plan.actions)] * 5  # the first call was the recorded one


def test_calls_that_make_no_graph_are_made_one_by_one(monkeypatch):
    monkeypatch.setattr(backend_for(Device("fake")), "graph_of", lambda calls: None)
    compiled, eager = tn.compile(make_step("fake")), make_step("fake")
    for x, y in batches("fake"):
        assert to_numpy(compiled(x, y)) == to_numpy(eager(x, y))
    assert compiled.plan.graph is None


@pytest.mark.gpu
def test_a_step_on_a_gpu_is_the_eager_step():
    compiled, eager = tn.compile(make_step("cuda"), fuse=False), make_step("cuda")
    for x, y in batches("cuda"):
        np.testing.assert_array_equal(to_numpy(compiled(x, y)), to_numpy(eager(x, y)))

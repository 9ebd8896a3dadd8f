"""Other threads go on as if nothing were recorded, and compiled functions run in any thread."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tinynn as tn
from tests.capture.twice import Training, in_bits, in_tensors
from tinynn.nn import functional as F


def in_another_thread(function):
    """What a function returns in a thread of its own, which has ended by then."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def training(seed=0):
    tn.manual_seed(seed)
    model = tn.nn.Sequential(tn.nn.Linear(6, 8), tn.nn.Tanh(), tn.nn.Linear(8, 3))
    optimizer = tn.optim.AdamW(model.parameters(), lr=0.01)
    made = Training(None, [model], [optimizer])
    made.meanwhile = lambda: None

    def step(x, labels):
        loss = F.cross_entropy(model(x), labels)
        made.meanwhile()
        loss.backward()
        made.meanwhile()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    made.step = step
    return made


def batch(seed=0):
    random = np.random.default_rng(seed)
    return random.standard_normal((5, 6)).astype(np.float32), random.integers(0, 3, 5)


def call(step, seed=0):
    return in_bits(step(*map(in_tensors, batch(seed))))


def test_what_another_thread_does_while_a_step_is_recorded():
    """A whole training, with kernels, hooks and reads of values; it is not in the plan either."""
    mine, other, expected_mine, expected_other = (training(seed) for seed in (1, 2, 1, 2))
    found = []

    def meanwhile():
        found.append(in_another_thread(lambda: [call(other.step), float(tn.ones(2).sum())]))

    mine.meanwhile = meanwhile
    step = tn.compile(mine.step)
    plain = tn.compile(expected_mine.step)
    assert call(step) == call(plain)
    assert found == [[call(expected_other.step), 2.0] for _ in range(2)]
    mine.meanwhile = lambda: None
    assert [c.name for c in step.plan.calls] == [c.name for c in plain.plan.calls]
    assert in_bits(other.state()) == in_bits(expected_other.state())


def test_a_loader_with_a_thread_while_a_step_is_recorded():
    random = np.random.default_rng(0)
    dataset = tn.data.Dataset(
        random.integers(0, 256, (43, 2, 3), np.uint8), random.integers(0, 3, 43)
    )
    mine, expected = training(), training()

    def losses(step):
        loader = tn.data.DataLoader(dataset, 5, shuffle=True, seed=4, prefetch=3)
        return [in_bits(step(x, labels)) for _ in range(3) for x, labels in loader]

    assert losses(tn.compile(mine.step, fuse=False)) == losses(expected.step)
    assert in_bits(mine.state()) == in_bits(expected.state())


def test_another_thread_that_computes_all_the_time():
    stop, found = threading.Event(), set()
    x = tn.randn(30, 30)

    def compute():
        while not stop.is_set():
            found.add(str(in_bits((x @ x.tanh()).softmax(1).sum())))

    threads = [threading.Thread(target=compute) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for seed in range(10):
            mine, expected = training(seed), training(seed)
            step = tn.compile(mine.step, fuse=False)
            for number in range(4):
                assert call(step, number) == call(expected.step, number)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert found == {str(in_bits((x @ x.tanh()).softmax(1).sum()))}


@pytest.mark.parametrize("fuse", [True, False])
def test_two_threads_with_a_function_each(fuse):
    makers = [training(seed) for seed in (1, 2, 3)]
    alone = [training(seed) for seed in (1, 2, 3)]
    barrier = threading.Barrier(3)

    def train(made):
        step = tn.compile(made.step, fuse=fuse)
        barrier.wait()
        return [call(step, number) for number in range(50)]

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(train, makers))
    steps = [tn.compile(made.step, fuse=fuse) for made in alone]
    assert found == [[call(step, number) for number in range(50)] for step in steps]
    for made, other in zip(makers, alone, strict=True):
        names = [
            n for n, value in made.state().items() if n != "random" and value != other.state()[n]
        ]
        assert names == []


def test_a_function_in_several_threads():
    """Its plan has one memory: calls take turns."""
    layer = tn.nn.Linear(64, 64)

    @tn.compile
    def forward(x):
        for _ in range(5):
            x = layer(x).tanh() + x
        return x

    inputs = [tn.randn(64, 64) for _ in range(4)]

    def many(x):
        with tn.no_grad():
            return {str(in_bits(forward(x))) for _ in range(30)}

    expected = [many(x) for x in inputs]
    assert [len(results) for results in expected] == [1] * 4
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(many, inputs)) == expected


def test_a_plan_of_one_thread_is_replayed_in_another():
    mine, expected = training(), training()
    step = tn.compile(mine.step, fuse=False)
    for number in range(6):
        function = in_another_thread if number % 2 else lambda f: f()
        assert function(lambda number=number: call(step, number)) == call(expected.step, number)
    assert len(step.plans) == 1


def test_two_threads_record_one_after_the_other():
    made = [training(seed) for seed in range(6)]
    steps = [tn.compile(one.step, fuse=False) for one in made]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(call, steps))
    assert found == [call(training(seed).step) for seed in range(6)]
    assert [len(step.plans) for step in steps] == [1] * 6

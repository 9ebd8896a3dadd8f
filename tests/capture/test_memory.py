"""A replay allocates nothing but its results, and its arena is smaller than what is made in it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import tinynn as tn
from tinynn.nn import functional as F


def perceptron():
    model = tn.nn.Sequential(
        tn.nn.Linear(64, 128), tn.nn.ReLU(), tn.nn.Dropout(0.1), tn.nn.Linear(128, 10)
    )
    return model, (256, 64)


def convolutional():
    model = tn.nn.Sequential(
        tn.nn.Conv2d(1, 8, 3, padding=1),
        tn.nn.ReLU(),
        tn.nn.MaxPool2d(2),
        tn.nn.Flatten(),
        tn.nn.Linear(8 * 7 * 7, 10),
    )
    return model, (32, 1, 14, 14)


def normalized():
    model = tn.nn.Sequential(tn.nn.Linear(32, 64), tn.nn.LayerNorm(64), tn.nn.GELU())
    return tn.nn.Sequential(*model, tn.nn.Linear(64, 10)), (128, 32)


OPTIMIZERS = {
    "adamw": lambda p: tn.optim.AdamW(p, lr=1e-3),
    "sgd": lambda p: tn.optim.SGD(p, lr=1e-2, momentum=0.9, nesterov=True),
}


def prepared(network, optimizer):
    """A compiled step, replayed a few times, and batches for it."""
    model, shape = network()
    optimizer = OPTIMIZERS[optimizer](model.parameters())
    scheduler = tn.optim.lr_scheduler.StepLR(optimizer, 10)

    def function(x, labels):
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        return loss

    random = np.random.default_rng(0)
    batches = [
        (
            tn.Tensor(random.standard_normal(shape).astype(np.float32)),
            tn.Tensor(random.integers(0, 10, shape[0])),
        )
        for _ in range(3)
    ]
    step = tn.compile(function)
    for batch in batches * 2:
        step(*batch)
    return function, step, batches


OBJECTS = 2300  # bytes


def peak(function, batches):
    """How many bytes are in use at most, beyond those before, in the calls of a function."""
    found = 0
    tracemalloc.start()
    try:
        for batch in batches:
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            function(*batch)
            found = max(found, tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    return found


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    ("network", "tiles"),
    [
        (perceptron, 0),
        (normalized, 0),
        (convolutional, 14_000),  # what the kernels of a convolution gather an image's parts in
    ],
)
def test_a_replay_allocates_nothing(network, tiles, optimizer):
    function, step, batches = prepared(network, optimizer)
    peak(step, batches)  # what is allocated once for all
    # Python's own objects take 1,996 bytes, or in some processes 2,060; any activation of these
    # steps takes twice as many.
    assert peak(step, batches * 3) < OBJECTS + tiles
    assert peak(function, batches) > 200_000
    assert step.plan.fresh_calls == []
    assert len(step.plans) == 1


def test_memory_does_not_grow():
    _, step, batches = prepared(perceptron, "adamw")
    tracemalloc.start()
    try:
        sizes = []
        for _ in range(5):
            for batch in batches * 4:
                step(*batch)
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert max(sizes[1:]) - min(sizes[1:]) < 1000


def test_recording_leaves_little_behind():
    """The arrays of the recorded run are free again; the arena takes their place."""
    model, shape = perceptron()
    x = tn.Tensor(np.ones((4 * shape[0], shape[1]), np.float32))
    step = tn.compile(lambda x: model(x.tanh()).square().sum())
    with tn.no_grad():
        tn.compile(model)(x)  # which loads modules and kernels
        tracemalloc.start()
        try:
            step(x)
            left = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
    layout = step.plan.layout
    made = step.plan.recorded_bytes
    assert layout.arena_bytes < made
    # The arena, the argument's own copy, and what describes the calls.
    assert left < layout.arena_bytes + x.data.nbytes + 100_000
    assert left < made + x.data.nbytes


@pytest.mark.parametrize("network", [perceptron, convolutional, normalized])
def test_the_arena_is_smaller_than_what_lies_in_it(network):
    _, step, _ = prepared(network, "adamw")
    layout = step.plan.layout
    assert 0 < layout.arena_bytes < 0.75 * layout.buffer_bytes
    assert layout.buffer_bytes <= step.plan.recorded_bytes


def test_results_are_all_that_is_new():
    step = tn.compile(lambda x: [x * 2, x.tanh(), (x @ x).sum()])
    x = tn.Tensor(np.ones((100, 100), np.float32))
    step(x)
    step(x)
    assert 2 * x.data.nbytes <= peak(step, [(x,)] * 3) < 2 * x.data.nbytes + 3000

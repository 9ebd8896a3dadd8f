"""The measurements: each measures what it is said to, on the calls of the very step."""

import json

import numpy as np
import pytest

import tinynn as tn
from tinynn.backend import recording
from tinynn.capture.buffers import EXTERNAL
from tinynn.studies.shared.workers import Place
from tinynn.studies.where_time_goes.memory import (
    with_fresh_memory,
    with_kept_memory,
    with_own_memory,
)
from tinynn.studies.where_time_goes.runs import (
    Hollow,
    Stopwatch,
    Task,
    Timed,
    describe_plan,
    take_apart,
)
from tinynn.studies.where_time_goes.steps import (
    ELEMENTWISE,
    NETWORKS,
    OPTIMIZER,
    PRODUCTS,
    Settings,
    Step,
    part_of,
)

SETTINGS = Settings(mlp_batches=(8,), cnn_batches=(8,), shown=8, sets=1, seconds=0.01, turns=3)


def batch(size=8):
    random = np.random.default_rng(0)
    return random.integers(0, 256, (size, 28, 28)).astype(np.uint8), random.integers(0, 10, size)


@pytest.fixture(params=NETWORKS)
def step(request):
    made = Step(request.param, *batch(), seed=0)
    made.compile()
    return made


def written(step):
    """What the calls of a step write besides their own memory: the parameters, the gradients."""
    buffers = {
        view.buffer
        for call in step.plan.calls
        for view in call.results
        if view.buffer.kind == EXTERNAL and view.nbytes
    }
    return sorted(buffers, key=lambda buffer: buffer.number)


def test_eager_and_compiled_are_one_step(step):
    assert step.eager().item() == step.compiled().item()


@pytest.mark.parametrize("make", [with_fresh_memory, with_kept_memory])
def test_the_calls_on_other_memory_compute_the_same(step, make):
    step.compiled()
    buffers = written(step)
    expected = [buffer.array.copy() for buffer in buffers]
    _, gradients = buffers
    gradients.array[...] = np.nan  # they are to be written anew
    make(step.plan)()
    for buffer, values in zip(buffers, expected, strict=True):
        np.testing.assert_allclose(buffer.array, values, rtol=1e-4, atol=1e-6)


def test_fresh_memory_is_given_back(step):
    calls = with_fresh_memory(step.plan)
    taken, alive, most = [], set(), 0
    empty = calls._take

    class Counted(np.ndarray):
        def __del__(self):
            alive.discard(id(self))

    def take(buffer):
        nonlocal most
        array = empty(buffer).view(Counted)
        taken.append(buffer)
        alive.add(id(array))
        most = max(most, len(alive))
        return array

    calls._take = take
    calls()
    assert sorted(b.number for b in taken) == sorted(b.number for b in step.plan.layout.offsets)
    assert not alive
    assert most < len(taken)


def test_the_products_find_what_they_find_in_a_step(step):
    arrays = {}
    for call, action in with_own_memory(step.plan):
        if part_of(call) == PRODUCTS:
            action()
            arrays[id(call)] = [np.array(a) for a in action.args if isinstance(a, np.ndarray)]
    assert len(arrays) >= 7
    for values in arrays.values():
        for array in values:
            if array.dtype == np.float32:
                assert np.isfinite(array).all()
                assert np.abs(array).max() < 1e4
    multiply = step.products()
    multiply()
    multiply()


def test_parts_of_the_plans():
    expected = {
        "MLP": {PRODUCTS: 8, OPTIMIZER: 1},
        # of two convolutions and two linear layers; the first needs no gradient of its input
        "CNN": {PRODUCTS: 2 + 3 + 2 + 4, OPTIMIZER: 1},
    }
    for network, counts in expected.items():
        step = Step(network, *batch(), seed=0)
        step.compile()
        parts = [part_of(call) for call in step.plan.calls]
        assert {part: parts.count(part) for part in counts} == counts
        assert ELEMENTWISE in parts


def test_multiplications_are_those_of_the_layers():
    step = Step("MLP", *batch(), seed=0)
    step.compile()
    calls = describe_plan(step.plan)["calls"]
    layers = 784 * 256, 256 * 128, 128 * 10
    # forward, the gradient of each weight, and of each input but the first
    assert sum(call["multiplications"] for call in calls) == 8 * (3 * sum(layers) - layers[0])


# ---- clocks


def test_a_time_is_that_of_a_call():
    seconds = []

    def function():
        seconds.append(1)

    timed = Timed(function)
    before = len(seconds)
    assert 0 < timed() < 1e-4
    assert len(seconds) - before == 2 * timed._calls


def test_page_faults_are_counted():
    pages = 1000

    def touch():
        from mmap import PAGESIZE, mmap

        memory = np.frombuffer(mmap(-1, pages * PAGESIZE), np.uint8)
        memory[::PAGESIZE] = 1

    timed = Timed(touch)
    timed()
    # a huge page stands for many
    assert 1 <= timed.usual_faults() < 2 * pages


def test_a_stopwatch_times_each_call_and_changes_nothing(step):
    watch = Stopwatch(step.compiled)
    before = step.plan.replays
    whole = watch()
    assert step.plan.replays - before == 2 * watch._calls
    calls = watch.seconds_of_calls()
    assert len(calls) == len(step.plan.actions)
    assert min(calls) > -1e-6
    assert sum(calls) + watch.seconds_besides() == pytest.approx(whole, rel=0.05)
    assert recording.active is None


def test_a_hollow_step_makes_no_calls_and_puts_them_back(step):
    hollow, actions = Hollow(step.compiled, step.plan), step.plan.actions
    for buffer in written(step):
        buffer.array[...] = 7
    assert hollow() > 0
    assert all((buffer.array == 7).all() for buffer in written(step))
    assert step.plan.actions is actions


def test_what_is_measured_is_plain_and_adds_up():
    place = Place(None, "cpu")
    result = take_apart(place, Task("MLP", *batch(), 0, SETTINGS))
    json.dumps(result, allow_nan=False)
    its = result["set"]
    assert its["turns"] >= 3
    assert sum(its["parts"].values()) == pytest.approx(sum(its["calls"]))
    assert len(its["calls"]) == len(result["plan"]["calls"])
    assert its["compiled"] < its["eager"]
    assert tn.get_num_threads() == 1

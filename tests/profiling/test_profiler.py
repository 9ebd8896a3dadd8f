"""What a profiler sees: each operation once, its bytes, and nothing that is not its business."""

import threading
import time

import numpy as np
import pytest

import tinynn as tn
from tests.profiling.steps import STEP, counts, training
from tinynn.autograd.door import apply
from tinynn.autograd.operation import Operation
from tinynn.backend import devices, recording

# ---- what is counted


@pytest.mark.parametrize("steps", [1, 4])
def test_each_operation_of_a_step_is_counted(device, steps):
    step = training(device)
    with tn.profile() as profile:
        for _ in range(steps):
            step()
    assert counts(profile) == {name: steps * count for name, count in STEP.items()}


def test_the_calls_of_a_replay_are_counted(device):
    step = training(device, compiled=True)
    step()
    with tn.profile() as profile:
        for _ in range(3):
            step()
    expected = {}
    for call in step.step.plan.calls:
        name = call.operation, call.name
        number, nbytes = expected.get(name, (0, 0))
        views = {*call.inputs(), *call.results}
        expected[name] = number + 3, nbytes + 3 * sum(view.nbytes for view in views)
    assert expected
    found = {(row.operation, row.call): (row.calls, row.nbytes) for row in profile.rows}
    assert found == expected


def test_the_first_call_of_a_compiled_function_is_its_recording():
    step, other = training(compiled=True), training(compiled=True)
    other()
    with tn.profile() as profile:
        step()
    assert counts(profile) == {"recording of step": 1}
    assert step.step.plan.describe() == other.step.plan.describe()


def test_bytes_are_those_of_the_arrays_that_go_in_and_out(device):
    x, y = tn.ones(3, 4, device=device, requires_grad=True), tn.ones(4, 5, device=device)
    with tn.profile() as profile:
        (x @ y).backward(tn.ones(3, 5, device=device))
    found = {row.operation: row.nbytes for row in profile.rows}
    assert found["matmul"] == 4 * (12 + 20 + 15)
    # the gradient and what was saved go in, the gradient of x comes out
    assert found["matmul backward"] == 4 * (15 + 12 + 20 + 12)


def test_a_view_moves_no_bytes():
    x = tn.ones(3, 4)
    with tn.profile() as profile:
        x.reshape(2, 6)
        x.t().reshape(12)  # not possible without a copy
    (row,) = [row for row in profile.rows if row.operation == "reshape"]
    assert (row.calls, row.nbytes) == (2, 2 * 48)


def test_what_is_written_in_place_is_counted():
    x, weight = tn.zeros(6), tn.ones(6, requires_grad=True)
    with tn.profile() as profile:
        x.add_(1.0)
        x[2:] = 3.0
        for _ in range(2):
            (weight * 2.0).sum().backward()
    found = counts(profile)
    assert {"add_", "setitem", "add gradient"} <= set(found)
    assert found["add gradient"] == 1  # to the gradient of the first pass
    assert x.tolist() == [1.0, 1.0, 3.0, 3.0, 3.0, 3.0]


def test_gradients_of_gradients_are_operations_of_their_own():
    x = tn.ones(5, requires_grad=True)
    with tn.profile() as profile:
        (slope,) = tn.grad((x**3).sum(), x, create_graph=True)
        slope.sum().backward()
    found = counts(profile)
    assert found["pow"] == 2  # x**3, and the x**2 of its gradient
    assert found["pow backward"] == 2
    assert_adds_up(profile)


def test_kernels_that_are_called_alone_are_counted():
    from tinynn.backend.devices import NUMPY

    target, index, source = np.zeros((3, 2), np.float32), np.array([0, 2]), np.ones((2, 2), "f4")
    with tn.profile() as profile:
        NUMPY.kernels.index_add(target, index, source)
    assert [row.calls for row in profile.rows] == [1]


def test_other_threads_are_left_out():
    x = tn.ones(5)
    seen = []

    def work():
        seen.append(tn.exp(x).tolist())

    with tn.profile() as profile:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        tn.sqrt(x)
    assert counts(profile) == {"sqrt": 1}
    assert len(seen) == 1


# ---- times


def slow(name, seconds):
    def forward(xp, input):
        time.sleep(seconds)
        return input.copy()

    def vjp(F, gradient):
        time.sleep(2 * seconds)
        return gradient.copy()

    return Operation(name, ("input",), forward, vjps=(vjp,))


def assert_adds_up(profile):
    assert sum(row.seconds for row in profile.rows) + profile.rest == pytest.approx(profile.seconds)
    assert sum(row.share for row in profile.rows) == pytest.approx(
        1 - profile.rest / profile.seconds
    )
    assert min(row.seconds for row in profile.rows) > 0
    assert profile.rest > 0


def test_times_are_those_of_the_operations():
    operation = slow("slow", 0.02)
    x = tn.ones(3, requires_grad=True)
    with tn.profile() as profile:
        result = apply(operation, (x,))
        time.sleep(0.03)
        result.backward(tn.ones(3))
    seconds = {row.operation: row.seconds for row in profile.rows}
    assert [row.operation for row in profile.rows] == ["slow backward", "slow"]
    assert 0.02 <= seconds["slow"] < 0.035
    assert 0.04 <= seconds["slow backward"] < 0.055
    assert 0.03 <= profile.rest < 0.05
    assert_adds_up(profile)


@pytest.mark.parametrize("compiled", [False, True])
def test_times_add_up_to_the_whole(compiled):
    step = training(compiled=compiled)
    with tn.profile() as profile:
        for _ in range(5):
            step()
    assert_adds_up(profile)


def test_time_within_is_counted_once():
    x = tn.ones(3, requires_grad=True)
    operation, inner = slow("outer", 0.001), slow("inner", 0.02)
    result = apply(operation, (x,))
    result.register_hook(lambda gradient: apply(inner, (gradient,)))
    with tn.profile() as profile:
        result.backward(tn.ones(3))
    seconds = {row.operation: row.seconds for row in profile.rows}
    assert seconds["inner"] >= 0.02
    assert seconds["outer backward"] < 0.015
    assert_adds_up(profile)


def test_a_device_that_works_on_its_own_is_waited_for(monkeypatch):
    waits = []
    monkeypatch.setattr(devices, "_waits", [lambda: waits.append(recording.active is not None)])
    step = training(compiled=True)
    step()
    with tn.profile():
        tn.exp(tn.ones(3))
        eager = len(waits)
        step()
    assert eager >= 3  # before the block, and before and behind the operation
    assert len(waits) >= eager + 2 * len(step.step.plan.actions)
    assert all(waits)
    before = len(waits)
    tn.exp(tn.ones(3))
    assert len(waits) == before


# ---- what must stay as it is


@pytest.mark.parametrize("compiled", [False, True])
def test_results_are_the_same_bit_for_bit(device, compiled):
    options = {"momentum": 0.9, "weight_decay": 0.01}
    plain, profiled = (training(device, compiled, **options) for _ in range(2))
    losses = [plain() for _ in range(6)]
    with tn.profile():
        again = [profiled() for _ in range(6)]
    for one, other in zip(losses, again, strict=True):
        assert one.item() == other.item()
    for one, other in zip(plain.model.parameters(), profiled.model.parameters(), strict=True):
        assert one.tolist() == other.tolist()


def test_operations_on_two_tensors_are_the_same_bit_for_bit():
    random = np.random.default_rng(0)
    a, b = (tn.tensor(random.standard_normal(100).astype(np.float32)) for _ in range(2))
    plain = [(a + b), (a - b), (a * b), (a / b), (a**b)]
    with tn.profile() as profile:
        again = [(a + b), (a - b), (a * b), (a / b), (a**b)]
    for one, other in zip(plain, again, strict=True):
        assert one.dtype == other.dtype
        assert one.numpy().tobytes() == other.numpy().tobytes()
    assert sum(counts(profile).values()) == 5

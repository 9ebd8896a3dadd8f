"""Serial and parallel twins: the same numbers, and no trouble when many threads call."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.kernels.comparison import kernel_of

kernel_of("erf")  # says where compiled kernels are kept, before they are imported
from tinynn.kernels.cpu import (  # noqa: E402
    compiler,
    dropout,
    linear,
    losses,
    normalization,
    optimizers,
    special,
)

needs_layer = pytest.mark.skipif(
    "compiler.threading_layer() == 'serial'",
    reason="neither OpenMP nor TBB can be loaded, so that kernels run on one thread",
)


def numbers(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


X, G, ROW = numbers(131, 65), numbers(131, 65)[::-1].copy(), numbers(65)
FLAT = numbers(1001)
COUNTERS = {"key": 3, "stream": 1, "step": 2}

CASES = {
    "linear_activation": (
        lambda: linear._finish("relu"),
        lambda: kernel_of("linear_activation")(X, X, None, activation="relu"),
    ),
    "activation_backward": (
        lambda: linear._backward("relu"),
        lambda: kernel_of("activation_backward")(G, X, activation="relu"),
    ),
    "softmax_cross_entropy": (
        lambda: losses._loss_and_gradient,
        lambda: kernel_of("softmax_cross_entropy")(X, np.arange(131) % 65, ROW),
    ),
    "layer_norm": (
        lambda: normalization._normalize,
        lambda: kernel_of("layer_norm")(X, ROW, ROW),
    ),
    "layer_norm_backward": (
        lambda: normalization._backward,
        lambda: kernel_of("layer_norm_backward")(G, X, ROW, X[:, 0].copy(), G[:, 0].copy()),
    ),
    "sgd_step": (
        lambda: optimizers._descend_with_momentum,
        lambda: after(kernel_of("sgd_step"), FLAT, FLAT, FLAT, lr=0.1, momentum=0.9),
    ),
    "adamw_step": (
        lambda: optimizers._adamw,
        lambda: after(kernel_of("adamw_step"), FLAT, FLAT, FLAT, FLAT**2, lr=0.1, step=1),
    ),
    "dropout": (
        lambda: dropout._dropout,
        lambda: kernel_of("dropout")(X, p=0.5, **COUNTERS),
    ),
    "erf": (lambda: special._erf, lambda: kernel_of("erf")(X)),
}


def after(kernel, *arrays, **attributes):
    copies = [array.copy() for array in arrays]
    kernel(*copies, **attributes)
    return tuple(copies)


def as_tuple(result):
    return result if type(result) is tuple else (result,)


@pytest.fixture
def two_threads():
    before = compiler._threads
    compiler.set_num_threads(2)
    yield
    compiler.set_num_threads(before)


@needs_layer
@pytest.mark.parametrize("name", CASES)
def test_parallel_twin_gives_the_same_bits(name, two_threads, monkeypatch):
    find, call = CASES[name]
    twins = find()
    expected = call()
    assert twins.grain > X.size  # so that the call above was serial
    monkeypatch.setattr(twins, "grain", 0)
    actual = call()
    assert twins._parallel is not None
    for ours, theirs in zip(as_tuple(actual), as_tuple(expected), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@needs_layer
def test_many_threads_may_call_parallel_kernels(two_threads, monkeypatch):
    twins = special._erf
    monkeypatch.setattr(twins, "grain", 0)
    inputs = [numbers(100 + i) for i in range(40)]
    expected = [kernel_of("erf")(x) for x in inputs]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            for ours, theirs in zip(pool.map(kernel_of("erf"), inputs), expected, strict=True):
                np.testing.assert_array_equal(ours, theirs)


@needs_layer
def test_a_kernel_beside_a_running_parallel_one_is_serial(two_threads, monkeypatch):
    ran = []
    twins = compiler.Twins(lambda: None, grain=0)
    twins.serial = lambda: ran.append("serial")
    monkeypatch.setattr(twins, "_parallel", lambda: (ran.append("parallel"), twins(1)))
    twins(1)
    assert ran == ["parallel", "serial"]
    twins(1)
    assert ran == ["parallel", "serial"] * 2


def test_small_work_and_one_thread_are_serial(monkeypatch):
    ran = []
    twins = compiler.Twins(lambda: None, grain=100)
    twins.serial = lambda: ran.append("serial")
    monkeypatch.setattr(twins, "_parallel", lambda: ran.append("parallel"))
    monkeypatch.setattr(compiler, "_threads", 2)
    twins(99)
    monkeypatch.setattr(compiler, "_threads", 1)
    twins(1000)
    assert ran == ["serial", "serial"]


def test_kernels_release_the_lock_of_python():
    """Another thread, which Python does not let run between kernels, runs beside one."""
    x = numbers(1_000_000)
    out, started = np.empty_like(x), threading.Event()
    special._erf.serial(x[:3], out[:3])
    ran = []
    thread = threading.Thread(target=lambda: (started.wait(), ran.append(True)))
    thread.start()
    interval, deadline = sys.getswitchinterval(), time.monotonic() + 20
    sys.setswitchinterval(1000)
    try:
        started.set()
        while not ran and time.monotonic() < deadline:
            special._erf.serial(x, out)
        ran_beside = bool(ran)
    finally:
        sys.setswitchinterval(interval)
        thread.join()
    assert ran_beside


@needs_layer
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_computes_serially():
    """OpenMP ends a child that uses its parent's threads; ours must live and be right."""
    program = """
import os
import numpy as np
from tinynn.backend.kernel_table import set_kernel_threads, table_for
kernels, x = table_for("numpy"), np.linspace(-1, 1, 300_000, dtype=np.float32)
kernels.erf(x[:1])
set_kernel_threads(2)
expected = kernels.erf(x)
child = os.fork()
if child == 0:
    os._exit(0 if (kernels.erf(x) == expected).all() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=60
    )
    assert (result.stdout.strip(), result.returncode) == ("0", 0), result.stderr

"""The number of threads: kernels and BLAS together."""

import os
import subprocess
import sys

import pytest
from threadpoolctl import threadpool_info

from tinynn.backend import kernel_table, threads


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    limits = {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}
    monkeypatch.setattr(threads, "_number", None)
    yield
    monkeypatch.undo()
    kernel_table.set_kernel_threads(threads.get_num_threads())
    from threadpoolctl import threadpool_limits

    threadpool_limits(max(limits.values(), default=1), user_api="blas")


def test_blas_and_kernels_follow():
    table = kernel_table.table_for("numpy")
    table.erf  # noqa: B018  (loads the kernels)
    for number in (1, 2):
        threads.set_num_threads(number)
        assert threads.get_num_threads() == number
        blas = [p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"]
        assert blas
        assert set(blas) == {number}
        assert kernel_table._load_compiler()._threads == number


@pytest.mark.parametrize("number", [0, -3])
def test_less_than_one(number):
    with pytest.raises(ValueError, match=f"set_num_threads: got {number}, expected at least 1"):
        threads.set_num_threads(number)


def test_not_a_number():
    with pytest.raises(TypeError):
        threads.set_num_threads("2")


@pytest.mark.parametrize(
    ("wanted", "expected"), [("3", 3), ("", None), ("many", None), ("0", None)]
)
def test_default_is_the_environments_or_the_processors(wanted, expected, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert threads.get_num_threads() == (expected or usable)


def test_layer():
    assert threads.threading_layer() in ("omp", "tbb", "serial")


@pytest.mark.parametrize(("wanted", "expected"), [("workqueue", "serial"), ("omp", "omp")])
def test_workqueue_is_never_used(wanted, expected):
    """Numba's own layer ends the process when two threads call parallel kernels at once."""
    if expected == "omp" and threads.threading_layer() != "omp":
        pytest.skip("OpenMP cannot be loaded")
    program = """
import numpy as np
from tinynn.backend.kernel_table import table_for
from tinynn.backend.threads import set_num_threads, threading_layer
set_num_threads(2)
x = np.linspace(-1, 1, 300_000, dtype=np.float32)
first = table_for("numpy").erf(x)
print(threading_layer())
from tinynn.kernels.cpu import special
print(special._erf._parallel is None)
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "NUMBA_THREADING_LAYER": wanted},
        check=True,
    )
    assert result.stdout.split() == [expected, str(expected == "serial")]

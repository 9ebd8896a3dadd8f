"""What every test shares: the devices, seeds, and how hard hypothesis looks."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter

import hypothesis
import numpy as np
import pytest

import tinynn as tn
from tests import fake_cupy
from tests.fake_cupy import memory
from tinynn.backend.devices import Backend, register_backend

# `HYPOTHESIS_PROFILE=thorough pytest ...` looks harder, with new examples each time.
hypothesis.settings.register_profile(
    "quick",
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile("thorough", max_examples=500, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

# A shell has what it starts in its background ignore Ctrl-C, and processes inherit that; tests that
# press it start processes of their own.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Register the fake of CuPy as the device "fake", with the references as its kernels."""
    register_backend(
        Backend(
            name="fake",
            device_type="fake",
            xp=fake_cupy,
            array_type=fake_cupy.ndarray,
            from_host=lambda array, index: fake_cupy.asarray(array),
            to_host=fake_cupy.asnumpy,
            device_of=lambda array: None,
            address_of=memory.address_of,
            view_of=memory.view_of,
        )
    )


def why_no_gpu() -> str | None:
    """Why tests marked `gpu` cannot run here, or None where they can."""
    try:
        import cupy
    except ImportError:
        return "CuPy is not installed (pip install 'tinynn[cuda12]' or 'tinynn[cuda13]')"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"CuPy finds no CUDA device ({error})"
    return None if count else "CuPy finds no CUDA device"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `gpu`, with the reason, where there is no GPU."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    reason = why_no_gpu() if marked else None
    if reason:
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why tests were skipped: a line for each reason, not for each place."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    for reason, count in reasons.items():
        terminalreporter.write_line(f"{count} skipped: {reason}")
        if "no CUDA kernel was" in reason:
            terminalreporter.write_sep("!", f"WARNING: {reason}", yellow=True, bold=True)


@pytest.fixture(params=["cpu", "fake", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """Every device that operations must work on: NumPy, the strict fake of CuPy, and CuPy."""
    return request.param


@pytest.fixture(autouse=True)
def seeds() -> None:
    """The same random numbers for a test, whichever tests ran before it."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  (for libraries that still draw from it)
    tn.manual_seed(0)

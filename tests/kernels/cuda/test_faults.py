"""Planted faults are caught, by what was said to catch them; and the sources as they are have none.

Every module of tests beside this one that has a function `reduced`, a small sweep over its kernels,
and a list FAULTS takes part.
"""

from importlib import import_module
from pathlib import Path

import pytest

from tests.cuda_on_cpu import why_no_compiler
from tests.cuda_on_cpu.faults import CATCHERS, planted
from tests.cuda_on_cpu.sanitized import sanitized

NAMES = [path.stem for path in sorted(Path(__file__).parent.glob("test_*.py"))]
MODULES = {
    name: module
    for name in NAMES
    if name != "test_faults"
    and hasattr(module := import_module(f"tests.kernels.cuda.{name}"), "FAULTS")
}
ALL = [(name, fault) for name, module in MODULES.items() for fault in module.FAULTS]

pytestmark = pytest.mark.skipif(why_no_compiler() is not None, reason=str(why_no_compiler()))


def by(*catchers):
    found = [(name, fault) for name, fault in ALL if fault.caught_by in catchers]
    return pytest.mark.parametrize(
        ("name", "fault"), found, ids=[f"{name[5:]}: {fault.name}" for name, fault in found]
    )


def test_who_catches_a_fault_is_known():
    assert {fault.caught_by for _, fault in ALL} == set(CATCHERS)


@by("results", "launch")
def test_a_fault_is_caught(name, fault):
    assert planted(fault, MODULES[name].reduced) == fault.caught_by


@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_sanitizers_find_planted_faults_and_no_others(sanitizer):
    faults = [(name, fault) for name, fault in ALL if fault.caught_by == sanitizer]
    runs = [(name, None) for name in MODULES] + [(name, fault.name) for name, fault in faults]
    runs = [(f"tests.kernels.cuda.{name}", fault) for name, fault in runs]
    found = sanitized(sanitizer, runs)
    for (name, fault), (caught, report) in zip(runs, found, strict=True):
        if fault is None:
            assert (caught, report) == ("nothing", ""), name
    missed = [run for run, (_, report) in zip(runs, found, strict=True) if run[1] and not report]
    assert missed == []

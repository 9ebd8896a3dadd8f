"""Checks the CUDA kernels on a GPU, in less than eight minutes: `make gpu-check`.

Needs a CUDA device, CuPy, NumPy, pytest and this checkout, which need not be installed. In turn:
every kernel beside its reference, over the sweep that the tests run on the processor; a small sweep
under compute-sanitizer, where that is installed; the benchmark of attention. What came of it is
printed and written to one JSON file with the name of the card. Fails where something failed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
KERNEL_TESTS = ROOT / "tests/kernels/cuda"
# Of what a compiler or the processor's harness does, not of what a card does.
_NOT_ON_A_CARD = "compiler faults generation launchers on_card plans resources training"
NO_CARD = 2  # exit status


class Step(NamedTuple):
    """A process that is part of the check.

    Attributes:
        name: how it is called.
        command: what is run, or None with `why` where it cannot be.
        seconds: how long it may take.
        figures: a JSON file that it writes, or None.
    """

    name: str
    command: list[str] | None
    seconds: int
    figures: Path | None = None
    why: str = ""


def describe_card() -> dict[str, Any]:
    """The card's name and what belongs to it; RuntimeError where there is none."""
    try:
        import cupy
    except ImportError:
        raise RuntimeError(
            "CuPy is not installed (pip install 'cupy-cuda12x[ctk]' or 'cupy-cuda13x[ctk]')"
        ) from None
    runtime = cupy.cuda.runtime
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        raise RuntimeError(f"CuPy finds no CUDA device ({error})") from None
    if not count:
        raise RuntimeError("CuPy finds no CUDA device")
    properties = runtime.getDeviceProperties(0)
    return {
        "name": properties["name"].decode(),
        "compute_capability": f"{properties['major']}.{properties['minor']}",
        "multiprocessors": properties["multiProcessorCount"],
        "memory_bytes": properties["totalGlobalMem"],
        "driver": runtime.driverGetVersion(),
        "runtime": runtime.runtimeGetVersion(),
        "cupy": cupy.__version__,
    }


def steps(folder: Path) -> list[Step]:
    """The parts of the check; they may write files to `folder`."""
    me = [sys.executable, "-m", "tests.gpu_check"]
    sanitizer, figures = shutil.which("compute-sanitizer"), folder / "attention.json"
    benchmark = (ROOT / "benchmarks/attention.py").exists()
    return [
        Step("parity", [*me, "--part", "parity"], 240),
        Step(
            "compute-sanitizer",
            [sanitizer, "--tool", "memcheck", "--error-exitcode", "9", *me, "--part", "reduced"]
            if sanitizer
            else None,
            100,
            why="compute-sanitizer is not installed",
        ),
        Step(
            "attention",
            [*me, "--part", "attention", "--json", str(figures)] if benchmark else None,
            100,
            figures,
            why="benchmarks/attention.py is missing",
        ),
    ]


def run_step(step: Step) -> dict[str, Any]:
    """What came of a step: its outcome ("passed", "failed", "too slow", "skipped"), and why."""
    if step.command is None:
        return {"step": step.name, "outcome": "skipped", "seconds": 0.0, "output": step.why}
    environment = os.environ | {"TINYNN_CUDA_TESTS": "card", "PYTHONPATH": str(ROOT)}
    start = time.monotonic()
    try:
        result = subprocess.run(
            step.command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=step.seconds,
            check=False,
        )
        outcome, output = "failed" if result.returncode else "passed", result.stdout
    except subprocess.TimeoutExpired as error:
        outcome, output = "too slow", (error.stdout or b"").decode(errors="replace")
    found: dict[str, Any] = {
        "step": step.name,
        "outcome": outcome,
        "seconds": round(time.monotonic() - start, 1),
        "output": output[-4000:],
    }
    if step.figures is not None and step.figures.exists():
        found["figures"] = json.loads(step.figures.read_text())
    return found


def check(
    card: Callable[[], dict[str, Any]], parts: Sequence[Step], path: Path | None
) -> tuple[int, dict[str, Any]]:
    """(exit status, the report), which is written to `path` after each step."""
    try:
        report: dict[str, Any] = {"card": card(), "date": datetime.now(UTC).isoformat()}
    except RuntimeError as error:
        print(f"gpu-check: no GPU to check: {error}", file=sys.stderr)
        return NO_CARD, {}
    print(f"{report['card']['name']}, CuPy {report['card'].get('cupy', '?')}", flush=True)
    report["steps"] = []
    for part in parts:
        found = run_step(part)
        report["steps"].append(found)
        if path is not None:
            path.write_text(json.dumps(report, indent=1) + "\n")
        print(f"{part.name:20} {found['outcome']:10} {found['seconds']:6.1f} s", flush=True)
        if found["outcome"] != "passed":
            print(found["output"], flush=True)
    good = all(found["outcome"] in ("passed", "skipped") for found in report["steps"])
    return (0 if good else 1), report


def find_kernels_in_the_checkout() -> None:
    """Makes tinynn.kernels importable where the checkout is not installed, as setup.cfg does."""
    try:
        import tinynn.kernels  # noqa: F401
    except ModuleNotFoundError:
        folder = ROOT / "kernels"
        spec = importlib.util.spec_from_file_location(
            "tinynn.kernels", folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["tinynn.kernels"] = module
        spec.loader.exec_module(module)


def modules_of_tests() -> list[str]:
    """The modules with tests of kernels that can run on a card."""
    names = [path.stem for path in sorted(KERNEL_TESTS.glob("test_*.py"))]
    return [name for name in names if name[5:] not in _NOT_ON_A_CARD.split()]


def run_part(part: str, arguments: list[str]) -> int:
    """One step, in a process of its own."""
    find_kernels_in_the_checkout()
    if part == "parity":
        import pytest

        # Without the conftest of all tests, which needs what the other tests need.
        options = ["-q", "-p", "no:cacheprovider", f"--confcutdir={KERNEL_TESTS}"]
        options = [*options, "--maxfail=20", "--no-header"]
        return int(
            pytest.main([*options, *(str(KERNEL_TESTS / f"{n}.py") for n in modules_of_tests())])
        )
    if part == "reduced":
        for name in modules_of_tests():
            module = importlib.import_module(f"tests.kernels.cuda.{name}")
            if hasattr(module, "reduced"):
                module.reduced()
                print(f"{name}: as expected", flush=True)
        return 0
    from runpy import run_module

    sys.argv = ["benchmarks.attention", "--device", "cuda", *arguments]
    run_module("benchmarks.attention", run_name="__main__")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", default="gpu-check.json", help="where the report is written")
    parser.add_argument("--part", choices=["parity", "reduced", "attention"], help="one step alone")
    chosen = parser.parse_args()
    if chosen.part:
        return run_part(chosen.part, ["--json", chosen.json])
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        status, _ = check(describe_card, steps(Path(folder)), Path(chosen.json))
    return status


if __name__ == "__main__":
    sys.exit(main())

"""Runs of kernels under AddressSanitizer (with UndefinedBehaviorSanitizer) or ThreadSanitizer.

They have to be in a process from its start, so a second Python is started with them loaded before
anything else. It runs the function `reduced` of modules of tests, with or without a planted fault,
and what the sanitizer says of each is collected.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from itertools import takewhile, zip_longest
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
_LIBRARIES = {"address": ("libasan.so", "libubsan.so"), "thread": ("libtsan.so",)}
_OPTIONS = {
    # Python frees nothing at its end; a report must not end the run.
    "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=0:detect_stack_use_after_return=0",
    "UBSAN_OPTIONS": "print_stacktrace=0",
    "TSAN_OPTIONS": "exitcode=0:report_signal_unsafe=0",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONMALLOC": "malloc",
}
_MARK = "-- run:"
_REPORT = re.compile(r"(ERROR: AddressSanitizer|runtime error|WARNING: ThreadSanitizer)[^\n]*")

# AddressSanitizer reports at most 25 different places in the code of a process, and a fault may be
# met in several instantiations of a kernel.
_MOST_FAULTS = 2

# (module with `reduced` and FAULTS, name of a fault or None)
Run = tuple[str, str | None]


def sanitized(sanitizer: str, runs: list[Run]) -> list[tuple[str, str]]:
    """For each run (what the tests said, see faults.planted, or "crash"; the sanitizer's report).

    A run that ends the process, as a misaligned read may, is followed by another process.
    """
    found: list[tuple[str, str]] = []
    while len(found) < len(runs):
        result = _python(sanitizer, _of_one_process(runs[len(found) :]))
        reports = result.stderr.split(_MARK)[1:]
        caught = result.stdout.split()
        if not reports or len(caught) not in (len(reports), len(reports) - 1):
            raise RuntimeError(f"no run under the {sanitizer} sanitizer:\n{result.stderr[-4000:]}")
        found += [
            (said, report if _REPORT.search(report) else "")
            for said, report in zip_longest(caught, reports, fillvalue="crash")
        ]
    return found


def _of_one_process(runs: list[Run]) -> list[Run]:
    """The first of the runs: those without a fault, or a few with one."""
    return list(takewhile(lambda run: run[1] is None, runs)) or runs[:_MOST_FAULTS]


def _python(sanitizer: str, runs: list[Run]) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        **_OPTIONS,
        "LD_PRELOAD": ":".join(map(_path_of, _LIBRARIES[sanitizer])),
        "CUDA_ON_CPU_SANITIZER": sanitizer,
    }
    command = [sys.executable, "-m", __name__, json.dumps(runs)]
    if sanitizer == "thread" and shutil.which("setarch"):  # it needs its places in memory
        command = ["setarch", "-R", *command]
    return subprocess.run(
        command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False
    )


def _path_of(library: str) -> str:
    path = subprocess.check_output(["g++", f"-print-file-name={library}"], text=True)
    return str(Path(path.strip()).resolve())


def main(runs: list[Any]) -> None:
    """In the second Python: prints what `planted` says of each run."""
    from tests.cuda_on_cpu.faults import planted

    for name, wanted in runs:
        module = import_module(name)
        fault = next((fault for fault in module.FAULTS if fault.name == wanted), None)
        print(f"{_MARK} {name} {wanted}", file=sys.stderr, flush=True)
        print(planted(fault, module.reduced), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

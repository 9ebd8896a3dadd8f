"""What every benchmark shares: fresh processes, a report that names the machine, a table."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from tinynn.backend.machine import ABSENT, machine, version, versions

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 100
FIXED_SPACE = "\N{NO-BREAK SPACE}"  # where no line breaks
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NPROC",  # of JAX
)
# The libraries to compare with, and the packages that they come in.
PEERS = {
    "torch": "torch",
    "jax": "jax",
    "sklearn": "scikit-learn",
    "llama_cpp": "llama-cpp-python",
}
# Until its own program is loaded, Linux counts as a process's memory that of the process which
# starts it. So the process to be measured is started by one that has little.
MEASURE_CHILD = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
status = subprocess.call(sys.argv[1:])
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
print(json.dumps({"seconds": seconds, "peak_bytes": peak}))
sys.exit(status)
"""


def arguments(documentation: str) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=documentation.splitlines()[0])
    parser.add_argument("--json", metavar="PATH", help="write the figures to a file, too")
    parser.add_argument(
        "--quick", action="store_true", help="a short look, without peers, that it works"
    )
    return parser


def header(title: str) -> str:
    """The lines that open a report: what is measured, on which machine, with which versions."""
    its = machine()
    present = {name: number for name, number in all_versions().items() if number != ABSENT}
    text = ", ".join(f"{name}{FIXED_SPACE}{number}" for name, number in present.items())
    lines = textwrap.wrap(text, WIDTH, break_on_hyphens=False)
    return "\n".join(
        [
            title,
            f"{its['processor']}, {its['cores']} cores usable, load {its['load']}",
            *(line.replace(FIXED_SPACE, " ") for line in lines),
        ]
    )


def all_versions() -> dict[str, str]:
    """The versions of Python, tinynn, what it computes with, and its peers."""
    return versions() | {package: version(package) for package in PEERS.values()}


def write_json(path: str | None, benchmark: str, figures: Any) -> None:
    """Writes figures (times in seconds, memory in bytes) with machine, versions and date.

    Nothing is written where `path` is None.
    """
    if path is None:
        return
    from tinynn.io.atomic import atomic_write

    document = {
        "benchmark": benchmark,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": all_versions(),
        "figures": figures,
    }
    with atomic_write(path, "w") as file:
        json.dump(document, file, indent=1)
        file.write("\n")


def has_peer(name: str) -> bool:
    """Whether a peer is installed; if not, says on stderr how to get it."""
    if importlib.util.find_spec(name) is not None:
        return True
    pip = Path(sys.executable).parent / "pip"
    print(
        f"{PEERS.get(name, name)} is not installed, so it is left out; "
        f"{pip} install -e '.[bench]' adds it",
        file=sys.stderr,
    )
    return False


def run_fresh(code: str, *, threads: int | None = None) -> str:
    """Runs `code` in a new Python process and returns what it prints.

    For what can be measured once a process: imports, and the number of threads of a pool, which
    libraries read from the environment when they are loaded.
    """
    return _run(["-c", code], threads)


class Run(NamedTuple):
    """What a process printed, how many seconds it took and the most memory that it held."""

    output: str
    seconds: float
    peak_bytes: int


def run_measured(arguments: Sequence[str], *, threads: int | None = None) -> Run:
    """Runs Python with some arguments in a new process, and measures it as a whole."""
    output = _run(["-c", MEASURE_CHILD, sys.executable, *arguments], threads)
    output, _, figures = output.rstrip().rpartition("\n")
    return Run(output, **json.loads(figures))


def thread_limits(number: int) -> dict[str, str]:
    """What tells the libraries of a process, in its environment, how many threads they may use."""
    return dict.fromkeys(THREAD_VARIABLES, str(number))


def _run(arguments: Sequence[str], threads: int | None) -> str:
    """What Python prints; SystemExit where it fails, having said why on stderr."""
    limits = thread_limits(threads) if threads else {}
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | limits, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments[-8:])}: ended with status {done.returncode}")
    return done.stdout


def duration(seconds: float) -> str:
    """Seconds as a short text in a unit that a person can read."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def plural(number: int, noun: str) -> str:
    """A number with its noun.

    >>> plural(1, "thread"), plural(2, "thread")
    ('1 thread', '2 threads')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as aligned text of at most 100 columns: the first column left, the others right.

    >>> print(table(["operation", "ratio"], [["exp", 1.02], ["multiply", 12.5]]))
    operation  ratio
    exp         1.02
    multiply    12.5
    """
    texts = [list(columns), *([f"{cell}" for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    if sum(widths) + 2 * len(widths) > WIDTH + 2:
        raise ValueError(
            f"table: {len(widths)} columns of widths {widths} do not fit {WIDTH} columns of text; "
            "shorten the cells or drop a column"
        )
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in texts
    )

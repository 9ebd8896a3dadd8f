"""The table of what each CUDA kernel takes: registers, shared memory, and bytes spilled.

`python -m tests.kernels.cuda.resources` compiles what was changed since the table was written, for
three architectures, and writes it anew: kernels/cuda/resources.txt. It takes some minutes where
everything changed, needs NVRTC (`pip install -e '.[test]'`) and no GPU. Names of sources, `...
linear.cu`, leave all others as they were.
"""

from __future__ import annotations

import hashlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from tests.cuda_on_cpu.installed import launchers
from tests.kernels.cuda import nvrtc
from tests.kernels.cuda.nvrtc import Resources
from tinynn.kernels.cuda import compiler

ARCHITECTURES = ("sm_80", "sm_90", "sm_100")  # A100; H100, H200; B200
PATH = compiler.FOLDER / "resources.txt"

_HEAD = """\
# What each CUDA kernel takes on {architectures}, as ptxas says:
# registers of a thread, static shared memory of a block, bytes spilled to memory. A spill fails.
# Written by `python -m tests.kernels.cuda.resources`, which compiles what was changed; of each
# source the hash says what was compiled, and for which instantiations.
"""


class Source(NamedTuple):
    """What is known of one source: its hash, NVRTC's version, and {instantiation: resources}."""

    fingerprint: str
    version: str
    kernels: dict[str, tuple[Resources, ...]]  # in the order of ARCHITECTURES


def instantiations() -> dict[str, list[str]]:
    """Source -> all that launchers can ask for."""
    found: dict[str, list[str]] = {}
    for module in launchers():
        for file, name in module.INSTANTIATIONS:
            if name not in found.setdefault(file, []):
                found[file].append(name)
    return {file: found[file] for file in sorted(found)}


def fingerprint(file: str, names: list[str]) -> str:
    """A hash of a source, of what it includes, and of what is compiled of it."""
    text = "\n".join([compiler.source_of(file), *compiler.OPTIONS, *sorted(names)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_table() -> dict[str, Source]:
    """The table as it was last written; empty where there is none."""
    found: dict[str, Source] = {}
    file = ""
    lines = PATH.read_text().splitlines() if PATH.exists() else []
    for line in lines:
        if line.startswith(" "):
            name, *columns = (part for part in line.split("  ") if part.strip())
            kernels = found[file].kernels  # of the line before that names a source
            kernels[name] = tuple(Resources(*map(int, column.split())) for column in columns)
        elif line and not line.startswith("#"):
            file, own_hash, version = line.split()
            found[file] = Source(own_hash, version, {})
    return found


def write_table(table: dict[str, Source]) -> None:
    text = [_HEAD.format(architectures=", ".join(ARCHITECTURES))]
    for file, source in sorted(table.items()):
        text.append(f"\n{file} {source.fingerprint} {source.version}\n")
        width = max(map(len, source.kernels))
        for name, columns in sorted(source.kernels.items()):
            numbers = "  ".join(" ".join(f"{n:d}" for n in three) for three in columns)
            text.append(f"  {name:{width}}  {numbers}\n")
    PATH.write_text("".join(text))


def main(chosen: list[str]) -> None:
    """Compiles what was changed, of the chosen sources or of all, and writes the table."""
    known, table, wanted = read_table(), {}, instantiations()
    if chosen:
        table = {file: known[file] for file in known if file not in chosen}
        wanted = {file: wanted[file] for file in chosen}
    tasks: dict[str, list[Any]] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for file, names in wanted.items():
            own_hash = fingerprint(file, names)
            if file in known and known[file].fingerprint == own_hash:
                table[file] = known[file]
                continue
            tasks[file] = [pool.submit(nvrtc.resources_of, file, names, a) for a in ARCHITECTURES]
        for file, results in tasks.items():
            columns = [task.result() for task in results]
            kernels = {name: tuple(column[name] for column in columns) for name in wanted[file]}
            table[file] = Source(fingerprint(file, wanted[file]), nvrtc.version(), kernels)
            print(f"{file}: compiled {len(kernels)} kernels for {', '.join(ARCHITECTURES)}")
    write_table(table)
    spilled = [
        name
        for source in table.values()
        for name, columns in source.kernels.items()
        if any(c.spilled for c in columns)
    ]
    print(f"{PATH.name}: {sum(len(s.kernels) for s in table.values())} kernels, spills: {spilled}")


if __name__ == "__main__":
    main(sys.argv[1:])

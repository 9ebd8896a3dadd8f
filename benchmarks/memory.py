"""Peak memory of training steps against PyTorch: python -m benchmarks.memory

Each network takes 20 steps in a process of its own, on one thread. Its peak is the most memory that
the whole process held at once, with the interpreter, the library and 4 batches of inputs. "Added"
is what the network adds to the library: the peak less that of a process that has taken a step of a
network of a few numbers, and so has loaded all that computes.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.harness import arguments, has_peer, header, run_measured, table, write_json
from benchmarks.workloads import MLP_SIZES

STEPS = 20
SETTINGS = {
    "MLP, 64 images": f"mlp({MLP_SIZES}), mlp_batches(64)",
    "MLP, 512 images": f"mlp({MLP_SIZES}), mlp_batches(512)",
    "CNN, 64 images": "cnn(), cnn_batches()",
    "GPT, 12 texts": "gpt(), gpt_batches()",
}
COMPILED, EAGER, PEER = "tinynn compiled", "tinynn eager", "PyTorch eager"
LIBRARIES = {COMPILED: "tinynn", EAGER: "tinynn", PEER: "torch"}
SMALLEST = "mlp((1, 10)), images(1, 1)"


def peak(code: str, rounds: int) -> float:
    """The median peak of processes that run `code`, in bytes, on one thread."""
    runs = [run_measured(["-c", code], threads=1) for _ in range(rounds)]
    return statistics.median(run.peak_bytes for run in runs)


def peak_of_steps(name: str, inputs: str, steps: int, rounds: int) -> float:
    """The peak of a candidate that takes some steps."""
    code = (
        "from benchmarks.workloads import *\n"
        f"from benchmarks.steps_in_{LIBRARIES[name]} import *\n"
        f"step = candidate({inputs}, threads=1, compiled={name == COMPILED})\n"
        f"for _ in range({steps}): step()"
    )
    return peak(code, rounds)


def measure(names: Sequence[str], settings: Sequence[str], rounds: int) -> dict[str, Any]:
    """The peaks, in bytes: of imports, of the smallest networks, and of each setting."""
    libraries = dict.fromkeys(LIBRARIES[name] for name in names)
    loaded = {name: peak_of_steps(name, SMALLEST, 1, rounds) for name in names}
    steps = []
    for setting in settings:
        figure: dict[str, Any] = {"setting": setting}
        for name in names:
            whole = peak_of_steps(name, SETTINGS[setting], STEPS, rounds)
            figure[name] = {"process": whole, "added": whole - loaded[name]}
        steps.append(figure)
    imports = {library: peak(f"import {library}", rounds) for library in libraries}
    return {"imports": imports, "loaded": loaded, "steps": steps}


def report(figures: dict[str, Any]) -> None:
    """Prints the table, with what the libraries take above the networks."""
    names = list(figures["loaded"])
    rows = [["a few numbers"]]
    for name in names:
        rows[0] += [megabytes(figures["loaded"][name]), ""]
    for its in figures["steps"]:
        cells = (megabytes(its[name][part]) for name in names for part in ("process", "added"))
        rows.append([its["setting"], *cells])
    imported = (f"import {name}: {megabytes(its)}" for name, its in figures["imports"].items())
    print("\npeak of the process, and what the network adds to the library")
    print(table(["", *(column for name in names for column in (name, "added"))], rows))
    print(", ".join(imported))


def megabytes(number: float) -> str:
    return f"{number / 1e6:.0f} MB"


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the table."""
    options = arguments(__doc__).parse_args(argv)
    print(header("Peak memory of training steps, one thread"), flush=True)
    rounds, names, settings = 3, [COMPILED, EAGER], list(SETTINGS)
    if options.quick:
        rounds, settings = 1, settings[:1]
    elif has_peer("torch"):
        names.append(PEER)
    figures = measure(names, settings, rounds)
    report(figures)
    write_json(options.json, "memory", figures)


if __name__ == "__main__":
    main()

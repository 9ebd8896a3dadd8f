"""What gradient checkpointing saves and costs: python -m benchmarks.checkpointing

A training step of the network of `tinynn train gpt`, with what backward needs kept, and with each
layer computed again, eager and compiled, on one thread. Memory is the most that a process of 5
steps held at once, less what the libraries take; that of a compiled step includes its recording,
which holds all that it computes. Times are of processes that take turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.harness import arguments, duration, header, table, write_json
from benchmarks.memory import SMALLEST, megabytes, peak
from benchmarks.workers import Candidate, Pace, time_in_turn

MODULE = "benchmarks.steps_in_tinynn"
STEPS = 5
BATCH = 12
KEPT, AGAIN = "kept", "computed again"
SETTINGS = [(4, 64), (12, 256)]  # layers, context


def candidate(layers: int, context: int, checkpointed: bool, compiled: bool) -> str:
    """What gives the step, as code."""
    network = f"transformer({layers}, {context}, {checkpointed})"
    return f"candidate({network}, texts({BATCH}, {context}), threads=1, compiled={compiled})"


def peak_of_steps(step: str, rounds: int) -> float:
    """The peak of processes that take some steps, in bytes."""
    imports = f"from benchmarks.workloads import *\nfrom {MODULE} import *\n"
    return peak(f"{imports}step = {step}\nfor _ in range({STEPS}): step()", rounds)


def measure(layers: int, context: int, compiled: bool, rounds: int, pace: Pace) -> dict[str, Any]:
    """The figures of one network: bytes, seconds, and what it costs as a ratio of times."""
    steps = {name: candidate(layers, context, name == AGAIN, compiled) for name in (KEPT, AGAIN)}
    smallest = f"candidate({SMALLEST}, threads=1, compiled={compiled})"
    libraries = peak_of_steps(smallest, rounds)
    peaks = {name: peak_of_steps(step, rounds) - libraries for name, step in steps.items()}
    times = time_in_turn({name: Candidate(MODULE, step) for name, step in steps.items()}, 1, pace)
    return {
        "layers": layers,
        "context": context,
        "compiled": compiled,
        "peaks": peaks,
        "seconds": {name: times.median(name) for name in times},
        "ratio": times.ratio(AGAIN, KEPT),
    }


def report(figures: Sequence[dict[str, Any]]) -> None:
    """Prints the table."""
    rows = [
        [
            f"{its['layers']} layers, {BATCH} texts of {its['context']}"
            + (", compiled" if its["compiled"] else ""),
            *(megabytes(its["peaks"][name]) for name in (KEPT, AGAIN)),
            *(duration(its["seconds"][name]) for name in (KEPT, AGAIN)),
            f"{its['ratio']:.2f}",
        ]
        for its in figures
    ]
    print(table(["", KEPT, AGAIN, KEPT, AGAIN, "ratio"], rows), flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the table."""
    options = arguments(__doc__).parse_args(argv)
    print(header("Memory and time of a training step, one thread"), flush=True)
    rounds, pace, settings, kinds = 3, Pace(9, 0.5), SETTINGS, [False, True]
    if options.quick:
        rounds, pace, settings, kinds = 1, Pace(1, 0.001), SETTINGS[:1], [False]
    figures = [
        measure(*setting, compiled, rounds, pace) for setting in settings for compiled in kinds
    ]
    report(figures)
    write_json(options.json, "checkpointing", figures)


if __name__ == "__main__":
    main()

"""A training step of the CNN and of a small GPT against PyTorch: python -m benchmarks.models

The CNN is tinynn.models.CNN with 64 images of 28x28 and SGD; the GPT has 4 layers of width 128 with
4 heads, and 12 texts of 64 tokens, with AdamW. Each candidate has a process of its own; they are
timed in turn, and what is printed is the median of the rounds' times and ratios.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.harness import arguments, duration, has_peer, header, plural, table, write_json
from benchmarks.workers import Candidate, Pace, time_in_turn

NETWORKS = {"cnn": "CNN, 64 images", "gpt": "GPT, 12 texts"}
MINE, EAGER, PEER = "tinynn compiled", "tinynn eager", "PyTorch eager"
Figure = dict[str, Any]


def candidates(network: str, threads: int) -> dict[str, Candidate]:
    """All of them, PyTorch included."""
    inputs = f"{network}(), {network}_batches(), threads={threads}"
    mine, torch = "benchmarks.steps_in_tinynn", "benchmarks.steps_in_torch"
    return {
        MINE: Candidate(mine, f"candidate({inputs}, compiled=True)"),
        EAGER: Candidate(mine, f"candidate({inputs}, compiled=False)"),
        PEER: Candidate(torch, f"candidate({inputs}, compiled=False)", "torch"),
    }


def measure(network: str, threads: int, with_torch: bool, pace: Pace) -> Figure:
    """The figures of one network: seconds, and ratios to tinynn compiled."""
    chosen = candidates(network, threads)
    if not with_torch:
        del chosen[PEER]
    rounds = time_in_turn(chosen, threads, pace)
    return {
        "network": network,
        "threads": threads,
        "seconds": {name: rounds.median(name) for name in rounds},
        "ratios": {name: rounds.ratio(name, MINE) for name in rounds if name != MINE},
    }


def report(figures: Sequence[Figure]) -> None:
    """Prints the table of one number of threads."""
    names = list(figures[0]["seconds"])
    rows = [
        [
            NETWORKS[its["network"]],
            *(duration(its["seconds"][name]) for name in names),
            *(f"{its['ratios'][name]:.2f}" for name in names if name != MINE),
        ]
        for its in figures
    ]
    ratios = [f"{name.split()[-1 if name == EAGER else 0]} / compiled" for name in names[1:]]
    print(f"\n{plural(figures[0]['threads'], 'thread')}")
    print(table(["", *names, *ratios], rows), flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Prints a table for each number of threads."""
    parser = arguments(__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    options = parser.parse_args(argv)
    with_torch = not options.quick and has_peer("torch")
    pace = Pace(3, 0.001) if options.quick else Pace(15, 0.2)
    print(header("One training step (PyTorch / compiled above 1: tinynn is faster)"), flush=True)
    figures: list[Figure] = []
    for threads in options.threads:
        found = [measure(name, threads, with_torch, pace) for name in options.networks]
        report(found)
        figures += found
    write_json(options.json, "models", figures)


if __name__ == "__main__":
    main()

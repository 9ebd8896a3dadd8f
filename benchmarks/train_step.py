"""One SGD step of the MNIST network against its peers: python -m benchmarks.train_step

784 -> 256 -> ReLU -> 128 -> ReLU -> 10, cross-entropy, float32, forward, backward and update, on
random images. Each candidate has a process of its own; they are timed in turn, and what is printed
is the median of the rounds' times and ratios. The bare products are the eight matrix products of
the step: the part that no engine can avoid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.harness import arguments, duration, has_peer, header, plural, table, write_json
from benchmarks.workers import Candidate, Pace, time_in_turn
from benchmarks.workloads import MLP_SIZES
from tinynn.backend.timing import ROUND_SECONDS, ROUNDS

BATCHES = (32, 64, 128, 256, 512)
MINE = "tinynn compiled"
EAGER = "tinynn eager"
PRODUCTS = "products"
PEERS = {"PyTorch eager": "torch", "torch.compile": "torch", "JAX jit": "jax"}
# (candidate, threads) -> batch -> what its time is to be at least, as a multiple of tinynn's.
LEAST = {
    ("PyTorch eager", 1): {32: 1.5, 64: 1.5, 128: 1.3, 512: 1.1},
    ("PyTorch eager", 2): dict.fromkeys(BATCHES, 1.0),
    ("torch.compile", 1): dict.fromkeys(BATCHES, 1.0),
    ("JAX jit", 1): dict.fromkeys(BATCHES, 1.0),
}
# Threads -> batch -> what tinynn's time is to be at most, as a multiple of that of the products.
MOST = {1: {32: 1.4, 64: 1.4, 128: 1.25, 256: 1.25, 512: 1.25}}
Figure = dict[str, Any]


def candidates(batch: int, threads: int) -> dict[str, Candidate]:
    """All of them, peers included."""
    inputs = f"mlp({MLP_SIZES}), mlp_batches({batch}), threads={threads}"
    mine, torch, jax = (f"benchmarks.steps_in_{name}" for name in ("tinynn", "torch", "jax"))
    return {
        MINE: Candidate(mine, f"candidate({inputs}, compiled=True)"),
        EAGER: Candidate(mine, f"candidate({inputs}, compiled=False)"),
        PRODUCTS: Candidate("benchmarks.products", f"products({MLP_SIZES}, {batch})"),
        "PyTorch eager": Candidate(torch, f"candidate({inputs}, compiled=False)", "torch"),
        "torch.compile": Candidate(torch, f"candidate({inputs}, compiled=True)", "torch"),
        "JAX jit": Candidate(jax, f"candidate({inputs})", "jax"),
    }


def measure(batch: int, threads: int, peers: Sequence[str], pace: Pace) -> Figure:
    """The figures for one size of batch and number of threads: seconds, and ratios to tinynn's.

    Arguments:
        peers: which of PEERS to measure.
    """
    wanted = {MINE, EAGER, PRODUCTS, *peers}
    chosen = {name: its for name, its in candidates(batch, threads).items() if name in wanted}
    rounds = time_in_turn(chosen, threads, pace)
    return {
        "threads": threads,
        "batch": batch,
        "seconds": {name: rounds.median(name) for name in rounds},
        "ratios": {name: rounds.ratio(name, MINE) for name in rounds if name != MINE},
        "compiled / products": rounds.ratio(MINE, PRODUCTS),
    }


def report(figures: Sequence[Figure]) -> None:
    """Prints the tables of one number of threads: times, and ratios with their goals."""
    threads, names = figures[0]["threads"], list(figures[0]["seconds"])
    print(f"\n{plural(threads, 'thread')}")
    rows = [[its["batch"], *(duration(its["seconds"][name]) for name in names)] for its in figures]
    print(table(["batch", *names], rows))

    compared = [name for name in names if name not in (MINE, PRODUCTS)]
    rows = []
    for its in figures:
        batch, row = its["batch"], [its["batch"]]
        for name in compared:
            least = LEAST.get((name, threads), {}).get(batch)
            row.append(cell(its["ratios"][name], ">=", least))
        row.append(cell(its["compiled / products"], "<=", MOST.get(threads, {}).get(batch)))
        rows.append(row)
    print("\nthe same as multiples of tinynn compiled, and that as a multiple of the products")
    print(table(["batch", *compared, "compiled / products"], rows), flush=True)


def cell(ratio: float, sign: str, goal: float | None) -> str:
    """A ratio, and in brackets its goal."""
    return f"{ratio:.2f}" if goal is None else f"{ratio:.2f} ({sign} {goal:.2f})"


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the tables for each number of threads."""
    parser = arguments(__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    options = parser.parse_args(argv)
    pace, peers = Pace(ROUNDS, ROUND_SECONDS), []
    if options.quick:
        pace, options.batches = Pace(3, 0.001), options.batches[:1]
    else:
        installed = [package for package in dict.fromkeys(PEERS.values()) if has_peer(package)]
        peers = [name for name, package in PEERS.items() if package in installed]
    print(header("One SGD step of the MLP 784-256-128-10 (in brackets: the goal)"), flush=True)
    figures: list[Figure] = []
    for threads in options.threads:
        found = []
        for batch in options.batches:
            found.append(measure(batch, threads, peers, pace))
            peers = [name for name in peers if name in found[-1]["seconds"]]
        report(found)
        figures += found
    write_json(options.json, "train_step", figures)


if __name__ == "__main__":
    main()

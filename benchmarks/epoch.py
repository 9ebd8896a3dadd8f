"""An epoch of MNIST with validation, and the memory of it: python -m benchmarks.epoch

The command `tinynn train mnist` itself is run, in processes of its own, and says in its metrics how
long the epochs took: 55,000 images in batches of 64, then 5,000 to validate with. PyTorch trains by
the same recipe, eager, in turn with it, and so does scikit-learn's MLPClassifier, but for the
schedule, which it has not. Peak memory and the seconds in all are those of the whole process: for
tinynn that includes the test images, checkpoints and pictures.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import import_time
from benchmarks.harness import (
    arguments,
    duration,
    has_peer,
    header,
    plural,
    run_fresh,
    run_measured,
    table,
    write_json,
)
from tinynn.backend.timing import in_turn

GOAL_SECONDS = 1.5
GOAL_MEGABYTES = 700
TITLES = {
    "tinynn": "tinynn",
    "eager": "tinynn, eager",
    "torch": "PyTorch",
    "sklearn": "scikit-learn",
}


class Training(NamedTuple):
    """One process that trained: its median epoch, and what it took in all."""

    epoch_seconds: float
    seconds: float
    peak_bytes: int


def train_in_tinynn(threads: int, epochs: int, data: str | None, *flags: str) -> Training:
    """Runs `tinynn train mnist`, with further flags if need be."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "run")
        options = {"--epochs": epochs, "--threads": threads, "--out": out}
        options |= {} if data is None else {"--data": data}
        words = [str(word) for option in options.items() for word in option]
        run = run_measured(["-m", "tinynn", "train", "mnist", *words, *flags], threads=threads)
        rows = [json.loads(line) for line in Path(out, "metrics.jsonl").read_text().splitlines()]
    epoch_seconds = statistics.median(row["seconds"] for row in rows)
    return Training(epoch_seconds, run.seconds, run.peak_bytes)


def train_eagerly(threads: int, epochs: int, data: str | None) -> Training:
    """Runs the command without recording the step and replaying it."""
    return train_in_tinynn(threads, epochs, data, "--no-compile")


def train_in_torch(threads: int, epochs: int, data: str | None) -> Training:
    """Trains in PyTorch, without the command's test images, checkpoints and pictures."""
    code = f"from benchmarks.mnist_in_torch import train; train({threads}, {epochs}, {data!r})"
    run = run_measured(["-c", code], threads=threads)
    return Training(statistics.median(json.loads(run.output)), run.seconds, run.peak_bytes)


def train_in_sklearn(threads: int, epochs: int, data: str | None) -> Training:
    """Trains in scikit-learn, without the command's test images, checkpoints and pictures."""
    code = f"from benchmarks.mnist_in_sklearn import train; train({epochs}, {data!r})"
    run = run_measured(["-c", code], threads=threads)
    return Training(statistics.median(json.loads(run.output)), run.seconds, run.peak_bytes)


TRAIN: dict[str, Callable[[int, int, str | None], Training]] = {
    "tinynn": train_in_tinynn,
    "eager": train_eagerly,
    "torch": train_in_torch,
    "sklearn": train_in_sklearn,
}


def measure(threads: int, names: Sequence[str], options: argparse.Namespace) -> dict[str, Any]:
    """The figures for one number of threads; each process is one measurement."""
    trainings: dict[str, list[Training]] = {name: [] for name in names}

    def epoch(name: str) -> float:
        trainings[name].append(TRAIN[name](threads, options.epochs, options.data))
        return trainings[name][-1].epoch_seconds

    rounds = in_turn({name: partial(epoch, name) for name in names}, options.rounds)
    figures: dict[str, Any] = {"threads": threads, "epochs": options.epochs}
    for name, found in trainings.items():
        figures[name] = {
            "epoch": rounds.median(name),
            "whole_process": statistics.median(training.seconds for training in found),
            "peak_bytes": max(training.peak_bytes for training in found),
        }
    for name in names:
        if name != "tinynn":
            figures[f"{name} / tinynn"] = rounds.ratio(name, "tinynn")
    return figures


def report(figures: dict[str, Any]) -> None:
    """Prints the table of one number of threads."""
    rows = []
    for name in TRAIN:
        if name in figures:
            its = figures[name]
            memory = f"{its['peak_bytes'] / 1e6:.0f} MB"
            row = [TITLES[name], duration(its["epoch"]), duration(its["whole_process"]), memory]
            ratio = figures.get(f"{name} / tinynn")
            rows.append([*row, "" if ratio is None else f"{ratio:.2f}"])
    print(
        f"\n{plural(figures['threads'], 'thread')}, {plural(figures['epochs'], 'epoch')} a process"
    )
    columns = ["", "epoch", "whole process", "peak memory", "epoch / tinynn's"]
    print(table(columns, rows), flush=True)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--epochs", type=int, default=3, help="epochs in each process")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each kind")
    parser.add_argument("--data", metavar="DIR", help="a folder of IDX files in place of MNIST")
    options = parser.parse_args(argv)
    if options.quick:
        options.threads, options.epochs, options.rounds = [1], 1, 1
    return options


def main(argv: Sequence[str] | None = None) -> None:
    """Prints a table for each number of threads, and the time to import."""
    options = parse(argv)
    print(header("An epoch of MNIST with validation, batch 64"))
    print(f"(goals: {GOAL_SECONDS} s with 2 threads; under {GOAL_MEGABYTES} MB)", flush=True)
    if options.data is None:
        run_fresh("from tinynn.data import MNIST; MNIST(train=True), MNIST(train=False)")
    names = ["tinynn"]
    if not options.quick:
        names += ["eager", *(name for name in ("torch", "sklearn") if has_peer(name))]
    trainings = []
    for threads in options.threads:
        trainings.append(measure(threads, names, options))
        report(trainings[-1])

    imports = import_time.measure(1 if options.quick else import_time.ROUNDS)
    seconds, ratio = imports.median("tinynn"), imports.ratio("tinynn", "numpy")
    print(f"\nimport tinynn: {duration(seconds)}, {ratio:.2f} times import numpy")
    figures = {"trainings": trainings, "import": seconds, "import tinynn / numpy": ratio}
    write_json(options.json, "epoch", figures)


if __name__ == "__main__":
    main()

"""A small GPT trained from scratch against PyTorch: python -m benchmarks.train_gpt

The recipe of `tinynn train gpt`: 4 layers, 4 heads, width 128, context 64, batches of 12, 2,000
steps of AdamW with clipping and a cosine, on Shakespeare's characters. Both engines begin with the
same weights and see the same batches, and are judged by the same windows of text that neither has
seen.
Each has a process of its own; they take turns, some steps each, so that what else the machine does
meets both alike. A step's time is the median of all, with the making of its batch.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import IO, Any, NamedTuple

import numpy as np

from benchmarks.harness import (
    ROOT,
    arguments,
    duration,
    has_peer,
    header,
    plural,
    table,
    thread_limits,
    write_json,
)
from tinynn.backend.random import manual_seed
from tinynn.backend.threads import set_num_threads
from tinynn.data import Shakespeare, TokenBatches, TokenWindows
from tinynn.models import Transformer
from tinynn.training.gpt import VALIDATED_AT_ONCE, VALIDATION_WINDOWS, split_tokens
from tinynn.training.text_recipe import TextRecipe
from tinynn.training.vocabulary import Characters

STEPS = 2000
QUICK_STEPS = 20
TURN = 100  # steps before it is the other's turn
MINE, PEER = "tinynn", "PyTorch eager"
MODULES = {MINE: "benchmarks.train_gpt_in_tinynn", PEER: "benchmarks.train_gpt_in_torch"}
# By how much losses may differ: two engines round differently, and training magnifies it.
MOST_APART = 0.02
Figure = dict[str, Any]


class Work(NamedTuple):
    """What an engine trains: a fresh model, whose weights are the ones to begin with."""

    recipe: TextRecipe
    model: Transformer
    batches: TokenBatches
    judges: TokenWindows


def work(steps: int, text: str) -> Work:
    """The same for every engine."""
    recipe = TextRecipe(steps=steps, warmup=min(TextRecipe.warmup, steps // 2))
    vocabulary = Characters.of(text)
    tokens = np.concatenate(list(vocabulary.encode(text))).astype(np.uint16)
    train, validation = split_tokens(tokens)
    manual_seed(recipe.seed)
    return Work(
        recipe,
        recipe.make_model(vocabulary.size),
        TokenBatches(train, recipe.context, recipe.batch_size, steps, recipe.seed),
        TokenWindows(validation, recipe.context, VALIDATION_WINDOWS, VALIDATED_AT_ONCE),
    )


class Turns:
    """Counts an engine's steps, and lets the other have its turn."""

    def __init__(self, given: IO[str], told: IO[str]) -> None:
        self.given, self.told = given, told
        self.seconds: list[float] = []
        self.wait()

    def wait(self) -> None:
        print("turn", file=self.told, flush=True)
        self.given.readline()
        self.began = time.perf_counter()

    def finish_step(self) -> None:
        self.seconds.append(time.perf_counter() - self.began)
        self.began = time.perf_counter()
        if len(self.seconds) % TURN == 0:
            self.wait()


def serve(train: Callable[[Work, Callable[[], None]], float], threads: int, quick: bool) -> None:
    """Trains in this process, in turns, and prints step times and the last loss as JSON."""
    set_num_threads(threads)
    text = verses() if quick else Shakespeare()
    its = work(QUICK_STEPS if quick else STEPS, text)
    turns = Turns(sys.stdin, sys.stdout)
    loss = train(its, turns.finish_step)
    print(json.dumps({"seconds": turns.seconds, "loss": loss}), flush=True)


def verses() -> str:
    """A text for a short look, which needs no fetching."""
    return "".join(f"{number} times it was the nightingale,\n" for number in range(500))


def train_in_turn(names: Sequence[str], threads: int, quick: bool) -> dict[str, Figure]:
    """What `serve` prints for each engine."""
    processes = {name: start(name, threads, quick) for name in names}
    found: dict[str, Figure] = {}
    try:
        for name, process in processes.items():
            line_of(name, process)  # it is ready
        while len(found) < len(processes):
            for name in processes.keys() - found.keys():
                process = processes[name]
                process.stdin.write("go\n")
                process.stdin.flush()
                line = line_of(name, process)
                if line != "turn\n":
                    found[name] = json.loads(line)
    finally:
        for process in processes.values():
            process.kill()
            with process:  # closes its pipes
                process.wait()
    return {name: found[name] for name in names}


def line_of(name: str, process: Any) -> str:
    """What an engine says next; SystemExit where it has ended, having said why on stderr."""
    line: str = process.stdout.readline()
    if not line:
        raise SystemExit(f"{name} ended before its training did")
    return line


def start(name: str, threads: int, quick: bool) -> Any:
    code = (
        f"from benchmarks.train_gpt import serve\nfrom {MODULES[name]} import train\n"
        f"serve(train, {threads}, {quick})"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | thread_limits(threads),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def report(threads: int, found: dict[str, Figure]) -> Figure:
    """Prints and returns the figures of one number of threads."""
    medians = {name: float(np.median(its["seconds"])) for name, its in found.items()}
    rows = [
        [name, duration(medians[name]), f"{sum(its['seconds']):.0f} s", f"{its['loss']:.4f}"]
        for name, its in found.items()
    ]
    print(f"\n{plural(threads, 'thread')}")
    print(table(["engine", "a step", "all steps", "validation loss"], rows), flush=True)
    figure: Figure = {"threads": threads, "seconds": medians}
    figure["losses"] = {name: its["loss"] for name, its in found.items()}
    if PEER in found:
        figure["ratio"] = medians[PEER] / medians[MINE]
        apart = found[MINE]["loss"] - found[PEER]["loss"]
        print(
            f"PyTorch's time is {figure['ratio']:.2f} of tinynn's (>= 1), tinynn's loss differs by "
            f"{apart:+.4f} (<= {MOST_APART})",
            flush=True,
        )
    return figure


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the table for each number of threads."""
    parser = arguments(__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args(argv)
    names = [MINE] if options.quick or not has_peer("torch") else [MINE, PEER]
    print(header("A GPT of 4 layers, width 128, trained on characters"), flush=True)
    figures = [
        report(threads, train_in_turn(names, threads, options.quick)) for threads in options.threads
    ]
    write_json(options.json, "train_gpt", figures)


if __name__ == "__main__":
    main()

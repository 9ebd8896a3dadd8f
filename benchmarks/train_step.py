"""One SGD step of the MNIST network against its peers: python -m benchmarks.train_step

784 -> 256 -> ReLU -> 128 -> ReLU -> 10, cross-entropy, float32, forward, backward and update, on
random images. Each candidate has a process of its own; they are timed in turn, and what is printed
is the median of the rounds' ratios. The bare products are the eight matrix products of the step
(nobody asks for the gradient of the images), written into preallocated memory: the part that no
engine can avoid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.harness import (
    Worker,
    arguments,
    duration,
    has_peer,
    header,
    table,
    write_json,
)
from tinynn.backend.timing import ROUND_SECONDS, ROUNDS, in_turn

SIZES = (784, 256, 128, 10)
BATCHES = (32, 64, 128, 256, 512)
RATE = 0.1
Step = Callable[[], object]
Figure = dict[str, Any]


def batch_of(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Images [size, 784] float32 and labels [size] int64."""
    generator = np.random.default_rng(0)
    images = generator.standard_normal((size, SIZES[0]), dtype=np.float32)
    return images, generator.integers(0, SIZES[-1], size)


def tinynn_step(size: int, threads: int) -> Step:
    """The step in tinynn, as a user writes it."""
    import tinynn as tn

    tn.set_num_threads(threads)
    tn.manual_seed(0)
    images, labels = (tn.tensor(array) for array in batch_of(size))
    model = tn.models.MLP(SIZES)
    optimizer = tn.optim.SGD(model.parameters(), lr=RATE)

    def step() -> None:
        optimizer.zero_grad()
        tn.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return step


def torch_step(size: int, threads: int) -> Step:
    """The same step in PyTorch, eager."""
    import torch

    from benchmarks.mnist_in_torch import make_model

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    images, labels = (torch.from_numpy(array) for array in batch_of(size))
    model = make_model(SIZES)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return step


def bare_products(size: int, threads: int) -> Step:
    """The matrix products of the step alone, by NumPy's BLAS, into memory that is there already."""
    generator = np.random.default_rng(0)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return generator.standard_normal((rows, columns), dtype=np.float32)

    products = []
    for layer, (inputs, outputs) in enumerate(pairwise(SIZES)):
        x, weight, gradient = matrix(size, inputs), matrix(outputs, inputs), matrix(size, outputs)
        products.append((x, weight.T, np.empty_like(gradient)))
        products.append((gradient.T, x, np.empty_like(weight)))
        if layer:
            products.append((gradient, weight, np.empty_like(x)))

    def step() -> None:
        for left, right, out in products:
            np.matmul(left, right, out=out)

    return step


CANDIDATES = {"tinynn": "tinynn_step", "products": "bare_products", "torch": "torch_step"}


def measure(size: int, threads: int, with_torch: bool, rounds: int, seconds: float) -> Figure:
    """The figures for one size of batch and number of threads."""
    workers = {
        name: Worker("benchmarks.train_step", f"{maker}({size}, {threads})", threads, seconds)
        for name, maker in CANDIDATES.items()
        if with_torch or name != "torch"
    }
    try:
        found = in_turn({name: worker.measure for name, worker in workers.items()}, rounds)
    finally:
        for worker in workers.values():
            worker.stop()
    figure: Figure = {"threads": threads, "batch": size}
    figure |= {name: found.median(name) for name in found}
    figure["tinynn / products"] = found.ratio("tinynn", "products")
    if with_torch:
        figure["torch / tinynn"] = found.ratio("torch", "tinynn")
    return figure


def report(figures: Sequence[Figure]) -> None:
    """Prints the table of one number of threads."""
    columns = ["batch", "tinynn", "/ bare products"]
    with_torch = "torch" in figures[0]
    if with_torch:
        columns += ["PyTorch", "PyTorch / tinynn"]
    rows = []
    for its in figures:
        row = [its["batch"], duration(its["tinynn"]), f"{its['tinynn / products']:.2f}"]
        if with_torch:
            row += [duration(its["torch"]), f"{its['torch / tinynn']:.2f}"]
        rows.append(row)
    threads = figures[0]["threads"]
    print(f"\n{threads} thread{'s' if threads > 1 else ''}")
    print(table(columns, rows), flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Prints a table for each number of threads."""
    parser = arguments(__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args(argv)
    print(header("One SGD step of the MLP 784-256-128-10"))
    print("(PyTorch / tinynn above 1: tinynn is faster)", flush=True)
    with_torch = not options.quick and has_peer("torch")
    batches = BATCHES[:1] if options.quick else BATCHES
    rounds, seconds = (3, 0.001) if options.quick else (ROUNDS, ROUND_SECONDS)
    figures: list[Figure] = []
    for threads in options.threads:
        found = [measure(size, threads, with_torch, rounds, seconds) for size in batches]
        report(found)
        figures += found
    write_json(options.json, "train_step", figures)


if __name__ == "__main__":
    main()

"""One SGD step of the MNIST network against its peers: python -m benchmarks.train_step

784 -> 256 -> ReLU -> 128 -> ReLU -> 10, cross-entropy, float32, forward, backward and update, on
random images. Each number of threads is measured in a process of its own; the steps of tinynn and
of its peers are timed in turn, and what is printed is the median of the rounds' ratios. The bare
products are the nine matrix products of the step (eight, as nobody asks for the gradient of the
images), written into preallocated memory: the part that no engine can avoid.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.harness import (
    arguments,
    compare,
    duration,
    has_peer,
    header,
    run_fresh,
    table,
    write_json,
)

SIZES = (784, 256, 128, 10)
BATCHES = (32, 64, 128, 256, 512)
RATE = 0.1
# The threads of one library, done with a step, spin for some milliseconds before they sleep.
REST_SECONDS = 0.03
Step = Callable[[], object]


def batch_of(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Images [size, 784] float32 and labels [size] int64."""
    generator = np.random.default_rng(0)
    images = generator.standard_normal((size, SIZES[0]), dtype=np.float32)
    return images, generator.integers(0, SIZES[-1], size)


def tinynn_step(size: int) -> Step:
    """The step in tinynn, as a user writes it."""
    import tinynn as tn

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


def bare_products(size: int) -> Step:
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


def measure(threads: int, batches: Sequence[int], with_torch: bool, pace: dict[str, Any]) -> None:
    """Prints, as JSON, the figures for the threads that this process has been limited to."""
    import tinynn as tn

    tn.set_num_threads(threads)
    figures = []
    for size in batches:
        candidates = {"tinynn": tinynn_step(size), "products": bare_products(size)}
        if with_torch:
            candidates["torch"] = torch_step(size, threads)
        rounds = compare(candidates, **pace)
        figure: dict[str, Any] = {"threads": threads, "batch": size}
        figure |= {name: rounds.median(name) for name in rounds}
        figure["tinynn / products"] = rounds.ratio("tinynn", "products")
        if with_torch:
            figure["torch / tinynn"] = rounds.ratio("torch", "tinynn")
        figures.append(figure)
    print(json.dumps(figures))


def report(figures: Sequence[dict[str, Any]]) -> None:
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
    pace = {"rounds": 3, "seconds": 0.001} if options.quick else {}
    figures: list[dict[str, Any]] = []
    for threads in options.threads:
        rest = {"rest": REST_SECONDS} if threads > 1 else {}
        call = f"measure({threads}, {batches}, {with_torch}, {pace | rest})"
        code = f"from benchmarks.train_step import measure; {call}"
        figures += (found := json.loads(run_fresh(code, threads=threads)))
        report(found)
    write_json(options.json, "train_step", figures)


if __name__ == "__main__":
    main()

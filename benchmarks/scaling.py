"""How a training step grows with width, depth and batch: python -m benchmarks.scaling

The step is that of the MNIST network, with hidden layers of one width. Along each axis one of
width, depth and batch is changed and the others stay as they are. Its time, compiled and eager, is
compared with that of its matrix products alone: an engine that adds nothing to them has the ratio
1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.harness import arguments, duration, header, plural, table, write_json
from benchmarks.workers import Candidate, Pace, time_in_turn
from tinynn.backend.timing import ROUND_SECONDS

MIDDLE = {"width": 256, "depth": 2, "batch": 64}
AXES = {
    "width": (64, 128, 256, 512, 1024),
    "depth": (1, 2, 4, 8),
    "batch": (16, 32, 64, 128, 256, 512, 1024),
}
COMPILED, EAGER, PRODUCTS = "compiled", "eager", "products"
Figure = dict[str, Any]


def measure(axis: str, value: int, threads: int, pace: Pace) -> Figure:
    """The figures of one point: seconds, and ratios to the products."""
    point = MIDDLE | {axis: value}
    sizes, batch = (784, *(point["width"],) * point["depth"], 10), point["batch"]
    inputs = f"mlp({sizes}), mlp_batches({batch}), {threads}"
    mine = "benchmarks.steps_in_tinynn"
    rounds = time_in_turn(
        {
            COMPILED: Candidate(mine, f"candidate({inputs}, compiled=True)"),
            EAGER: Candidate(mine, f"candidate({inputs}, compiled=False)"),
            PRODUCTS: Candidate("benchmarks.products", f"products({sizes}, {batch})"),
        },
        threads,
        pace,
    )
    return {
        "axis": axis,
        **point,
        "threads": threads,
        "seconds": {name: rounds.median(name) for name in rounds},
        "ratios": {name: rounds.ratio(name, PRODUCTS) for name in (COMPILED, EAGER)},
    }


def report(figures: Sequence[Figure]) -> None:
    """Prints the table of one axis."""
    axis = figures[0]["axis"]
    others = ", ".join(f"{name} {value}" for name, value in MIDDLE.items() if name != axis)
    rows = []
    for its in figures:
        seconds, ratios = its["seconds"], its["ratios"]
        rows.append(
            [
                its[axis],
                duration(seconds[PRODUCTS]),
                *(duration(seconds[name]) for name in (COMPILED, EAGER)),
                *(f"{ratios[name]:.2f}" for name in (COMPILED, EAGER)),
            ]
        )
    print(f"\nby {axis} ({others})")
    columns = [PRODUCTS, COMPILED, EAGER, f"{COMPILED} / {PRODUCTS}", f"{EAGER} / {PRODUCTS}"]
    print(table([axis, *columns], rows), flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Prints a table for each axis."""
    parser = arguments(__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--axes", nargs="+", choices=AXES, default=list(AXES))
    options = parser.parse_args(argv)
    pace = Pace(3, 0.001) if options.quick else Pace(11, ROUND_SECONDS)
    title = "One SGD step of an MLP with 784 inputs and 10 outputs"
    print(header(f"{title}, {plural(options.threads, 'thread')}"), flush=True)
    figures: list[Figure] = []
    for axis in options.axes:
        values = AXES[axis][:2] if options.quick else AXES[axis]
        found = [measure(axis, value, options.threads, pace) for value in values]
        report(found)
        figures += found
    write_json(options.json, "scaling", figures)


if __name__ == "__main__":
    main()

"""What a call costs in a replay, beyond the call itself: python -m benchmarks.replay

A chain of calls on arrays so small that arithmetic counts for nothing: additions by NumPy, and
linear layers whose two calls are a product and a compiled kernel. Each is timed as a plan, as the
bare calls on the same arrays in a loop written by hand, and eager; the goal is that a plan takes at
most half a microsecond more for each call than the bare calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

import tinynn as tn
from benchmarks.harness import arguments, duration, header, table, write_json
from tinynn.backend.timing import ROUND_SECONDS, ROUNDS, compare

LENGTH = 100
SIZE = 32
GOAL_SECONDS = 0.5e-6
Chain = Callable[[tn.Tensor, tn.Tensor], tn.Tensor]


def additions(x: tn.Tensor, w: tn.Tensor) -> tn.Tensor:
    """x + w + w + ..."""
    for _ in range(LENGTH):
        x = x + w
    return x


def layers(x: tn.Tensor, w: tn.Tensor) -> tn.Tensor:
    """Linear layers with a ReLU, one after the other, half as many: each is two calls."""
    for _ in range(LENGTH // 2):
        x = tn.nn.functional.linear_activation(x, w, activation="relu")
    return x


CHAINS: dict[str, Chain] = {"add": additions, "linear_activation": layers}
SHAPES = {"add": ((SIZE,), (SIZE,)), "linear_activation": ((1, 4), (4, 4))}


def measure(name: str, rounds: int, seconds: float) -> dict[str, float]:
    """The seconds of one call in a plan, among bare calls, and eager."""
    shapes = SHAPES[name]
    x, w = (tn.tensor(np.full(shape, 0.25, np.float32)) for shape in shapes)
    chain = CHAINS[name]
    plan = tn.compile(chain)
    with tn.no_grad():
        plan(x, w)
        actions = [(call.func, (*call.args, *call.keywords.values())) for call in plan.plan.actions]

        def bare() -> None:
            for function, arrays in actions:
                function(*arrays)

        found = compare(
            {
                "plan": lambda: plan(x, w),
                "bare": bare,
                "eager": lambda: chain(x, w),
            },
            rounds=rounds,
            seconds=seconds,
        )
    count = len(actions)
    figures = {each: found.median(each) / count for each in found}
    return figures | {"overhead": found.difference("plan", "bare") / count, "calls": count}


def main(argv: Sequence[str] | None = None) -> None:
    """Prints a table: the seconds of one call."""
    options = arguments(__doc__).parse_args(argv)
    print(header("One call of a chain of small ones"))
    pace = (3, 0.001) if options.quick else (ROUNDS, ROUND_SECONDS)
    tn.set_num_threads(1)
    figures = {name: measure(name, *pace) for name in CHAINS}
    kinds = ("eager", "plan", "bare")
    rows = [
        [name, *(duration(its[kind]) for kind in kinds), f"{its['overhead'] * 1e6:.2f} us"]
        for name, its in figures.items()
    ]
    goal = f"plan - bare (at most {GOAL_SECONDS * 1e6:.1f} us)"
    print(table(["", *kinds, goal], rows))
    write_json(options.json, "replay", figures)


if __name__ == "__main__":
    main()

"""How long `import tinynn` takes, against `import numpy`: python -m benchmarks.import_time

Every measurement is a fresh process; the two are taken in turn, and the goal is a ratio of at most
1.5. Bytecode is compiled before the first round, as an installer would have done.
"""

from __future__ import annotations

import compileall
import importlib.util
from collections.abc import Sequence

from benchmarks.harness import (
    arguments,
    duration,
    header,
    run_fresh,
    table,
    write_json,
)
from tinynn.backend.timing import Rounds, in_turn

ROUNDS = 31
GOAL = 1.5
MEASURE = """
import time
start = time.perf_counter()
import {module}
print(time.perf_counter() - start)
"""


def seconds_to_import(module: str) -> float:
    """The seconds that importing `module` takes in a process that has imported nothing else."""
    return float(run_fresh(MEASURE.format(module=module)))


def measure(rounds: int) -> Rounds:
    """The seconds to import tinynn and numpy, by turns."""
    for folder in importlib.util.find_spec("tinynn").submodule_search_locations:
        compileall.compile_dir(folder, quiet=1)
    modules = ("tinynn", "numpy")
    return in_turn({name: lambda name=name: seconds_to_import(name) for name in modules}, rounds)


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the two import times and their ratio."""
    options = arguments(__doc__).parse_args(argv)
    print(header("import tinynn against import numpy"))
    rounds = measure(1 if options.quick else ROUNDS)
    seconds = {name: rounds.median(name) for name in rounds}
    ratio = rounds.ratio("tinynn", "numpy")
    cells = [*map(duration, seconds.values()), f"{ratio:.2f}"]
    print(table(["", *seconds, f"ratio (goal: {GOAL:.2f})"], [["import", *cells]]))
    write_json(options.json, "import_time", {**seconds, "tinynn / numpy": ratio})


if __name__ == "__main__":
    main()

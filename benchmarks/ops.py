"""Every operation, forward and backward, against NumPy alone: python -m benchmarks.ops [NAME ...]

NumPy alone is the array calls that an operation and its gradient rules make, without the tape; for
a fused operation, its kernels. What an operation takes beyond them is its overhead. PyTorch, where
it is installed, runs its own operation of the same name. They are timed in turn, on one thread, and
medians over the rounds are printed. Operations marked * have no gradient and are run forward only.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from types import ModuleType
from typing import Any, NamedTuple

import tinynn as tn
import tinynn.nn.functional  # enters its operations into OPS
from benchmarks import multiply
from benchmarks.arguments import Call, arguments_of, in_torch
from benchmarks.array_calls import ArrayCalls, array_calls
from benchmarks.harness import arguments, has_peer, header, table, write_json
from tinynn.backend.devices import Device, backend_for
from tinynn.backend.timing import Rounds, compare
from tinynn.ops.registry import OPS

SIZES = (32, 16384)
MINE, ARRAYS, PEER = "tinynn", "arrays", "torch"
TITLES = {"numpy": "NumPy", "cupy": "CuPy"}
Step = Callable[[], Any]


class Setting(NamedTuple):
    """How operations are measured."""

    device: str
    torch: ModuleType | None
    pace: dict[str, Any]

    @property
    def arrays(self) -> str:
        """The name of the array module."""
        name = backend_for(Device(self.device)).name
        return TITLES.get(name, name)


class Measured(NamedTuple):
    """One operation at one size."""

    name: str
    has_gradient: bool
    rounds: Rounds


def measure(name: str, size: int, setting: Setting) -> Measured:
    """Times an operation, its array calls and its counterpart in PyTorch in turn."""
    step, calls = in_tinynn(name, size, setting.device)
    has_gradient = bool(calls.backward)
    candidates: dict[str, Step] = {MINE: step, ARRAYS: calls}
    if setting.torch is not None:
        candidates[PEER] = step_in_torch(name, size, setting.device, setting.torch, has_gradient)
    return Measured(name, has_gradient, compare(candidates, **setting.pace))


def in_tinynn(name: str, size: int, device: str = "cpu") -> tuple[Step, ArrayCalls]:
    """The operation with its backward pass, and its array calls alone."""
    call, leaves = with_tensors(
        arguments_of(name, size), lambda array: tn.tensor(array, device=device)
    )
    forward = forward_of(OPS[name], call)
    result = forward()
    if not result.requires_grad:
        return forward, array_calls(forward)
    gradient = tn.ones_like(result)
    return with_backward(forward, leaves, gradient), array_calls(forward, gradient.data)


def step_in_torch(name: str, size: int, device: str, torch: Any, has_gradient: bool) -> Step:
    """PyTorch's operation of the same name, with a backward pass if tinynn's has one."""
    call, leaves = with_tensors(
        arguments_of(name, size), lambda array: torch.from_numpy(array).to(device)
    )
    forward = forward_of(in_torch(torch, name), call)
    if not has_gradient:
        return forward
    return with_backward(forward, leaves, torch.ones_like(forward()).detach())


def with_tensors(call: Call, tensor: Callable[[Any], Any]) -> tuple[Call, list[Any]]:
    """The call with a tensor for each array, and those of the tensors that get gradients."""
    leaves = []

    def made(array: Any) -> Any:
        result = tensor(array)
        if array.dtype.kind == "f":
            leaves.append(result.requires_grad_())
        return result

    return call.convert(made), leaves


def forward_of(function: Callable[..., Any], call: Call) -> Step:
    """The call, and of several results the first."""
    args, kwargs = call

    def forward() -> Any:
        result = function(*args, **kwargs)
        return result[0] if isinstance(result, tuple) else result

    return forward


def with_backward(forward: Step, leaves: Sequence[Any], gradient: Any) -> Step:
    """The call, a backward pass from its result, and the gradients cleared for the next."""

    def step() -> None:
        forward().backward(gradient)
        for leaf in leaves:
            leaf.grad = None

    return step


def measure_multiply(length: int, setting: Setting) -> Rounds:
    """Times a chain of small multiplies, forward and backward."""
    candidates = {MINE: multiply.in_tinynn(length), ARRAYS: multiply.in_numpy(length)}
    if setting.torch is not None:
        candidates[PEER] = multiply.in_torch(length)
    return compare(candidates, **setting.pace)


def report_multiply(setting: Setting) -> list[dict[str, float]]:
    """Prints the overhead of a small multiply, and returns its figures."""
    rows, figures = [], []
    for length in multiply.LENGTHS:
        rounds = measure_multiply(length, setting)
        title = "alone" if length == 1 else f"in a chain of {length}"
        rows.append([title, *cells(rounds, operations=length)])
        figures.append({"length": length, **in_seconds(rounds, operations=length)})
    print(
        f"\n{multiply.SIZE}-element multiply, forward and backward: overhead over the same NumPy "
        f"calls, us\n(per operation; goal: at most {multiply.GOAL_SECONDS * 1e6:.1f})"
    )
    print(table(["", *columns("NumPy", setting.torch)], rows))
    return figures


def report_size(names: Sequence[str], size: int, setting: Setting) -> list[dict[str, Any]]:
    """Prints the table of one size, and returns its figures."""
    measured = [measure(name, size, setting) for name in names]
    rows = [[f"{name}{'' if grad else ' *'}", *cells(rounds)] for name, grad, rounds in measured]
    print(f"\n{size} elements (* forward only)")
    print(table(["operation", *columns(setting.arrays, setting.torch)], rows))
    overhead = statistics.median(item.rounds.difference(MINE, ARRAYS) for item in measured)
    print(f"median overhead of {len(measured)} operations: {overhead * 1e6:.2f} us")
    if setting.torch is not None:
        ratio = statistics.median(item.rounds.ratio(PEER, MINE) for item in measured)
        print(f"median of PyTorch / tinynn: {ratio:.2f}")
    return [
        {"name": name, "size": size, "has_gradient": grad, **in_seconds(rounds)}
        for name, grad, rounds in measured
    ]


def columns(arrays: str, torch: ModuleType | None) -> list[str]:
    titles = ["tinynn us", f"{arrays} us", "overhead us"]
    return titles if torch is None else [*titles, "PyTorch us", "PyTorch / tinynn"]


def cells(rounds: Rounds, operations: int = 1) -> list[str]:
    """The row of a table, in microseconds per operation."""

    def microseconds(seconds: float) -> str:
        return f"{seconds / operations * 1e6:.2f}"

    row = [
        microseconds(rounds.median(MINE)),
        microseconds(rounds.median(ARRAYS)),
        microseconds(rounds.difference(MINE, ARRAYS)),
    ]
    if PEER in rounds:
        row += [microseconds(rounds.median(PEER)), f"{rounds.ratio(PEER, MINE):.2f}"]
    return row


def in_seconds(rounds: Rounds, operations: int = 1) -> dict[str, float]:
    """The same as numbers, in seconds per operation."""
    figures = {name: rounds.median(name) / operations for name in rounds}
    return figures | {"overhead": rounds.difference(MINE, ARRAYS) / operations}


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("names", metavar="NAME", nargs="*", help="operations; default: all")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="elements")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda")
    options = parser.parse_args(argv)
    for name in options.names:
        if name not in OPS:
            near = ", ".join(get_close_matches(name, OPS)) or ", ".join(sorted(OPS))
            parser.error(f"no operation is called {name}; there are {near}")
    if min(options.sizes) < 4:
        parser.error(f"--sizes has {min(options.sizes)}, expected at least 4 elements")
    try:
        backend_for(Device(options.device))
    except (RuntimeError, ValueError) as error:
        parser.error(str(error))
    return options


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the figure of a small multiply, then a table for each size."""
    options = parse(argv)
    tn.set_num_threads(1)
    torch = None
    if not options.quick and has_peer("torch"):
        torch = importlib.import_module("torch")
        torch.set_num_threads(1)
    pace: dict[str, Any] = {"rounds": 15, "seconds": 0.005}
    if options.quick:
        pace = {"rounds": 3, "seconds": 0.0005}
    device = Device(options.device)
    if device.type == "cuda":
        pace["finish"] = backend_for(device).xp.cuda.runtime.deviceSynchronize
    setting = Setting(options.device, torch, pace)

    print(
        header(f"Operations on {device}, one thread (PyTorch / tinynn above 1: tinynn is faster)")
    )
    figures: dict[str, Any] = {"device": options.device, "multiply": report_multiply(setting)}
    figures["operations"] = []
    for size in options.sizes:
        figures["operations"] += report_size(options.names or list(OPS), size, setting)
    write_json(options.json, "ops", figures)


if __name__ == "__main__":
    main()

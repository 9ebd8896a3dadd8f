"""The array calls behind an operation, alone: what would be left of it without a tape.

An operation is run once and watched. Forward, these are the calls that it makes by its declaration;
backward, the gradient rules of the nodes behind its result. Each call is kept together with its
arrays, so that all can be made again, and nothing but them. What an operation takes beyond these
calls is overhead: checking arguments, recording, walking back, silencing NumPy's warnings.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from tinynn.autograd import Tensor, door
from tinynn.autograd.node import Leaf, Node
from tinynn.autograd.operation import ARRAY_OPERATIONS, Operation
from tinynn.autograd.tape import sum_to_shape

ArrayCall = Callable[[], Any]


class ArrayCalls(NamedTuple):
    """The array calls of one operation, in order, and the gradients that the last of them gave."""

    forward: list[ArrayCall]
    backward: list[ArrayCall]
    gradients: dict[Leaf, Any]

    def __call__(self) -> None:
        """Makes all calls again."""
        for call in self.forward:
            call()
        for call in self.backward:
            call()


def array_calls(function: Callable[[], Tensor], gradient: Any = None) -> ArrayCalls:
    """The array calls of `function()` and of a backward pass from its result.

    Arguments:
        gradient: the array that the backward pass starts with; None for no backward pass.
    """
    with watched() as forward:
        result = function()
    if gradient is None:
        return ArrayCalls(forward, [], {})
    return ArrayCalls(forward, *backward_calls(result.node, gradient))


@contextmanager
def watched() -> Iterator[list[ArrayCall]]:
    """Collects the forward calls of the operations that are run in the block."""
    calls: list[ArrayCall] = []
    run = Operation.run

    def watching(operation: Operation, backend: Any, arrays: Any, attributes: Any) -> Any:
        if operation.kernel is None:
            call = partial(operation.forward, backend.xp, *arrays, **attributes)
        else:
            call = partial(getattr(backend.kernels, operation.kernel), *arrays, **attributes)
        calls.append(call)
        return run(operation, backend, arrays, attributes)

    # The door has a short way for two tensors of these dtypes, on which nothing can be watched.
    short_way = {name: getattr(door, name) for name in ("float32", "float64")}
    Operation.run = watching
    vars(door).update(dict.fromkeys(short_way))
    try:
        yield calls
    finally:
        Operation.run = run
        vars(door).update(short_way)


def backward_calls(root: Node, gradient: Any) -> tuple[list[ArrayCall], dict[Leaf, Any]]:
    """The calls of a backward pass, and the gradients of the leaves."""
    calls: list[ArrayCall] = []

    def made(function: Callable[..., Any], *arrays: Any, **attributes: Any) -> Any:
        calls.append(partial(function, *arrays, **attributes))
        return calls[-1]()

    F = ARRAY_OPERATIONS[type(gradient)]
    gradients: dict[Any, Any] = {root: gradient}
    for node in sorted(nodes_behind(root)):  # the youngest first
        rule, saved = node.operation, node.saved
        g = gradients.pop(node)
        results: Any = None
        if rule.joint_vjp is not None:
            needs = tuple(parent is not None for parent in node.parents)
            options = {"needs": needs, "into": (None,) * len(needs)}
            results = made(rule.joint_vjp, F, g, *saved, **options, **node.attributes)
        for position, parent in enumerate(node.parents):
            if parent is None:
                continue
            if results is None:
                result = made(rule.vjps[position], F, g, *saved, **node.attributes)
            else:
                result = results[position]
            if node.shapes is not None and result.shape != node.shapes[position]:
                result = made(sum_to_shape, F, result, node.shapes[position])
            if parent in gradients:
                result = made(operator.add, gradients[parent], result)
            gradients[parent] = result
    return calls, gradients


def nodes_behind(root: Node) -> set[Node]:
    """All nodes that a result was computed with, its own included."""
    found: set[Node] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack.extend(parent for parent in node.parents if isinstance(parent, Node))
    return found

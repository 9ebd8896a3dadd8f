"""The calls of a plan on other memory than its own.

`with_fresh_memory` and `with_kept_memory` make the same calls in the same way; what differs is
where an array for a result comes from. The fresh ones are asked for when the first call needs them
and given back after the last, as those of an eager step are. So the difference of their times is
what fresh memory costs.

No memory that stays is malloc's here: what malloc does with the memory of the steps depends on what
else it has given out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from mmap import mmap
from typing import Any, NamedTuple

import numpy as np

from tinynn.capture import Plan
from tinynn.capture.buffers import INTERNAL, Buffer, View
from tinynn.capture.call import Call
from tinynn.capture.forms import Action, bound
from tinynn.capture.layout import ALIGNMENT, lifetimes

__all__ = ["with_fresh_memory", "with_kept_memory", "with_own_memory"]

Memory = dict[Buffer, Any]


def with_fresh_memory(plan: Plan) -> Callable[[], None]:
    """The calls of a plan, each result in new memory."""
    return _Calls(plan, lambda buffer: np.empty(buffer.nbytes, np.uint8))


def with_kept_memory(plan: Plan) -> Callable[[], None]:
    """The same, the results in memory that stays, laid out as the plan does it."""
    kept = _aside(plan, plan.layout.offsets)
    return _Calls(plan, lambda buffer: kept[buffer])


def with_own_memory(plan: Plan) -> list[tuple[Call, Action]]:
    """The calls of a plan, no two results of which share memory: so each can be made alone, again
    and again, on the arrays that it finds in the step."""
    arrays, _ = _views(plan, _aside(plan, _one_after_the_other(plan)))
    pairs = [(call, a) for call in plan.calls for a in bound(call, arrays, plan.backend.xp)]
    with np.errstate(all="ignore"):
        for _, action in pairs:
            action()
    return pairs


def _one_after_the_other(plan: Plan) -> dict[Buffer, int]:
    offsets, size = {}, 0
    for buffer in plan.layout.offsets:
        offsets[buffer], size = size, size + -(-buffer.nbytes // ALIGNMENT) * ALIGNMENT
    return offsets


def _aside(plan: Plan, offsets: Mapping[Buffer, int]) -> Memory:
    """Memory for each buffer of a plan, at its place in one stretch."""
    size = max([start + buffer.nbytes for buffer, start in offsets.items()], default=1)
    whole = np.frombuffer(mmap(-1, max(size, 1)), np.uint8)
    return {buffer: whole[start : start + buffer.nbytes] for buffer, start in offsets.items()}


class _Part(NamedTuple):
    """An array as a part of memory that is there only while the calls are made."""

    buffer: Buffer
    shape: tuple[int, ...]
    dtype: Any
    offset: int
    strides: tuple[int, ...]

    def of(self, memory: Memory) -> Any:
        return np.ndarray(self.shape, self.dtype, memory[self.buffer], self.offset, self.strides)


def _views(
    plan: Plan, memory: Memory
) -> tuple[Callable[[View], Any], dict[int, tuple[Any, _Part]]]:
    """What gives the array of a view, and by the id of each array that lies in this memory the
    array and which part it is."""
    parts: dict[int, tuple[Any, _Part]] = {}

    def array_of(view: View) -> Any:
        place = view.offset, view.shape, view.strides, view.dtype
        array = plan.backend.view_of(memory.get(view.buffer, view.buffer.array), *place)
        if view.buffer.kind == INTERNAL:
            part = _Part(view.buffer, view.shape, view.dtype, view.offset, view.strides)
            parts[id(array)] = array, part
        return array

    return array_of, parts


class _Calls:
    """What is called, without arguments, to make the calls.

    Arguments:
        take: gives the memory of a buffer.
    """

    def __init__(self, plan: Plan, take: Callable[[Buffer], Any]) -> None:
        self._take = take
        spans = lifetimes(plan.calls, ())
        arrays, parts = _views(plan, _aside(plan, plan.layout.offsets))

        def pattern(value: Any) -> Any:
            if type(value) in (list, tuple):
                return type(value)(map(pattern, value))
            return parts[id(value)][1] if id(value) in parts else value

        # Buffers to take, function, arguments, keywords, buffers to give back.
        self._steps: list[tuple[list[Buffer], Any, list[Any], dict[str, Any], list[Buffer]]] = []
        for number, call in enumerate(plan.calls):
            actions = bound(call, arrays, plan.backend.xp)
            for place, action in enumerate(actions):
                first = [b for b, span in spans.items() if span[0] == number and place == 0]
                is_last = place == len(actions) - 1
                last = [b for b, span in spans.items() if span[1] == number and is_last]
                arguments = [pattern(value) for value in action.args]
                keywords = {key: pattern(value) for key, value in action.keywords.items()}
                self._steps.append((first, action.func, arguments, keywords, last))

    def __call__(self) -> None:
        memory: Memory = {}
        with np.errstate(all="ignore"):
            for first, function, arguments, keywords, last in self._steps:
                for buffer in first:
                    memory[buffer] = self._take(buffer)
                function(
                    *[_made(value, memory) for value in arguments],
                    **{key: _made(value, memory) for key, value in keywords.items()},
                )
                for buffer in last:
                    del memory[buffer]


def _made(value: Any, memory: Memory) -> Any:
    if type(value) is _Part:
        return value.of(memory)
    if type(value) is list:
        return [_made(item, memory) for item in value]
    return value

"""The profiler: listens where operations are carried out, and looks at the clock.

It hears of operations through the door, of gradients from the walk over the tape, of compiled
kernels from the kernel table, of replays from their plan, and of what `recording.timed` is called
with. Of each it measures the array work alone: what the door and the tape do around it, and all
other Python, is left over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from time import perf_counter_ns as clock
from typing import Any

from tinynn.autograd.node import Node
from tinynn.autograd.operation import Operation
from tinynn.autograd.tensor import Tensor
from tinynn.backend.devices import Backend, synchronize
from tinynn.profiling.events import Event, bytes_of, events_of_replay


class Profiler:
    """Collects the events of one thread."""

    records = False

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._replays: list[tuple[list[tuple[int, int]], list[Any]]] = []
        self._open: list[_Span] = []
        self._thread = threading.get_ident()

    def is_here(self) -> bool:
        """Whether it watches this thread."""
        return threading.get_ident() == self._thread

    @property
    def events(self) -> list[Event]:
        """What was seen."""
        for times, calls in self._replays:
            self._events += events_of_replay(times, calls)
        self._replays.clear()
        return self._events

    # ---- what it is told

    def run(
        self,
        operation: Operation,
        inputs: Sequence[Any],
        attributes: dict[str, Any],
        run: Callable[..., Tensor],
    ) -> Tensor:
        """Carries out an operation of the engine."""
        return run(operation, inputs, attributes, self._forward)

    def _forward(
        self,
        operation: Operation,
        backend: Backend,
        arrays: Sequence[Any],
        attributes: dict[str, Any],
    ) -> Any:
        span = self._begin(operation.name)
        touched: Iterable[Any] = ()
        try:
            result = operation.run(backend, arrays, attributes)
            if not (operation.views and backend.xp.may_share_memory(arrays[0], result)):
                touched = (*arrays, result)
        finally:
            self._end(span, touched)
        return result

    def backward(self, node: Node) -> None:
        """Says that the gradients of a node come next."""
        self._begin(f"{node.operation.name} backward", node=node)

    def backward_done(self, node: Node, arrays: Iterable[Any]) -> None:
        """Says that they have come, and what was read and given on."""
        for span in reversed(self._open):
            if span.node is node:
                self._end(span, arrays)
                break

    def timed(
        self, name: str, function: Callable[..., Any], *arguments: Any, **keywords: Any
    ) -> Any:
        """Calls a function that computes outside of operations."""
        span = self._begin(name)
        try:
            return function(*arguments, **keywords)
        finally:
            self._end(span, arguments)

    def twin(self, twins: Any, work: int, arguments: tuple[Any, ...]) -> Any:
        """A call of a compiled kernel; a row of its own where it is no part of an operation."""
        name = twins.function.__name__.strip("_")
        within = self._open[-1].operation if self._open else ""
        span = self._begin(within or name, call=name if within else "")
        try:
            return twins.run(work, *arguments)
        finally:
            self._end(span, arguments, counts=not within)

    def replay(self, actions: Sequence[Callable[[], Any]], calls: Sequence[Any]) -> None:
        """Carries out the actions of a plan, each of which is a part of the call beside it."""
        times: list[tuple[int, int]] = []
        span = self._begin("replay")
        try:
            for action in actions:
                synchronize()
                start = clock()
                action()
                synchronize()
                times.append((start, clock()))
        finally:
            span.inside = sum(end - start for start, end in times)
            self._end(span, (), counts=False)
            # What the calls read and wrote is looked up when the block is over.
            self._replays.append((times, list(calls)))

    # ---- spans of time

    def _begin(self, operation: str, call: str = "", node: Node | None = None) -> _Span:
        span = _Span(operation, call, node)
        self._open.append(span)
        synchronize()
        span.start = clock()
        return span

    def _end(self, span: _Span, values: Iterable[Any], counts: bool = True) -> None:
        synchronize()
        end = clock()
        # Spans that were begun within it and not ended were left by an exception.
        while (last := self._open.pop()) is not span:
            span.inside += last.inside
        own = end - span.start - span.inside if counts else 0
        place = span.operation, span.call, span.start, end
        self._events.append(Event(*place, own, bytes_of(values), counts))
        if self._open:
            self._open[-1].inside += span.inside + own

    def absorb(self, other: Profiler) -> None:
        """Takes over what a profiler saw that listened in the place of this one."""
        self._events += other.events
        if self._open:
            self._open[-1].inside += sum(event.own for event in other.events)


class _Span:
    """A stretch of time that has begun.

    Attributes:
        inside: the nanoseconds of events within it that count for themselves.
        node: whose gradients it is.
    """

    __slots__ = ("call", "inside", "node", "operation", "start")

    def __init__(self, operation: str, call: str, node: Node | None) -> None:
        self.operation = operation
        self.call = call
        self.node = node
        self.inside = 0
        self.start = 0

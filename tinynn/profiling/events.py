"""What a profiler saw: an event for each stretch of time, and rows that add them up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tinynn.autograd.tensor import Tensor
from tinynn.backend.devices import BACKENDS

NANOSECONDS = 1e-9


class Event(NamedTuple):
    """One stretch of time; clock readings are in nanoseconds.

    Fields:
        operation: what it is a part of, as in `plan.describe()`: "linear", "linear backward".
        call: of a replay or of a compiled kernel, the name of the call; else "".
        start, end: what the clock showed.
        own: how long it took, without the events within it that count for themselves.
        nbytes: of the arrays that it read and wrote.
        counts: whether it is a part of the rows, or only drawn within one.
    """

    operation: str
    call: str
    start: int
    end: int
    own: int
    nbytes: int
    counts: bool = True


class Row(NamedTuple):
    """All calls of one operation, or of one recorded call.

    Fields:
        operation: "linear", "linear backward", "SGD.step", "recording of step".
        call: in a replay the recorded call, such as "matmul"; else "".
        calls: how often it was carried out.
        seconds: how long that took together.
        share: of the profiled time.
        nbytes: of the arrays that were read and written.
    """

    operation: str
    call: str
    calls: int
    seconds: float
    share: float
    nbytes: int


def rows_of(events: Iterable[Event], seconds: float) -> list[Row]:
    """The rows of some events, those that took longest first.

    Arguments:
        seconds: what the shares are parts of.
    """
    sums: dict[tuple[str, str], list[int]] = {}
    for event in events:
        if event.counts:
            total = sums.setdefault((event.operation, event.call), [0, 0, 0])
            total[0] += 1
            total[1] += event.own
            total[2] += event.nbytes
    rows = [
        Row(*name, calls, own * NANOSECONDS, own * NANOSECONDS / seconds, nbytes)
        for name, (calls, own, nbytes) in sums.items()
    ]
    return sorted(rows, key=lambda row: -row.seconds)


def events_of_replay(times: Sequence[tuple[int, int]], calls: Sequence[Any]) -> list[Event]:
    """An event for each recorded call, and one around those of an operation that are in a row.

    Arguments:
        times: when each action began and ended; of a replay that failed, only the first ones.
        calls: the call that each is a part of.
    """
    events: list[Event] = []
    around: list[Event] = []
    last = None
    for (start, end), call in zip(times, calls, strict=False):
        own, nbytes = end - start, 0
        if call is last:  # one that several actions make
            before = events.pop()
            start, own, nbytes = before.start, before.own + own, before.nbytes
        else:
            views = dict.fromkeys((*call.inputs(), *call.results))
            nbytes = sum(view.nbytes for view in views)
            if not around or around[-1].operation != call.operation:
                around.append(Event(call.operation, "", start, end, 0, 0, False))
        total = around[-1].nbytes + (nbytes if call is not last else 0)
        around[-1] = around[-1]._replace(end=end, nbytes=total)
        events.append(Event(call.operation, call.name, start, end, own, nbytes))
        last = call
    return events + around


def bytes_of(values: Iterable[Any]) -> int:
    """The bytes of all arrays among some values, and in lists among them, each counted once."""
    sizes: dict[int, int] = {}
    _measure(values, sizes)
    return sum(sizes.values())


def _measure(values: Iterable[Any], sizes: dict[int, int]) -> None:
    for value in values:
        kind = type(value)
        if kind in BACKENDS:
            sizes[id(value)] = value.nbytes
        elif kind is Tensor:
            sizes[id(value.data)] = value.data.nbytes
        elif kind is list or kind is tuple:
            _measure(value, sizes)

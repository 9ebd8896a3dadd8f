"""`tn.profile`: a block of code, and where its time went."""

from __future__ import annotations

import json
from time import perf_counter_ns as clock

from tinynn.backend import recording
from tinynn.backend.devices import synchronize
from tinynn.io.atomic import StrPath, atomic_write
from tinynn.profiling.events import NANOSECONDS, Row, rows_of
from tinynn.profiling.profiler import Profiler
from tinynn.profiling.trace import chrome_trace

REST = "Python, tape and the rest"


def profile() -> Profile:
    """Measures, in a `with` block, the time that each operation takes.

    An operation's time is that of its array work, forward and backward apart; on a GPU each is
    waited for. In the calls of a function made by `tn.compile` each recorded call has a line of its
    own. What is left, such as what the tape and all other Python take, is a line as well; measuring
    adds three to five microseconds to it for each operation and each kernel within one, and less
    than one for each call of a replay. Only the thread that enters the block is measured. Results
    are what they are without.

    Returns a context manager that gives a `Profile`.

    >>> import tinynn as tn
    >>> x = tn.ones(100, 100, requires_grad=True)
    >>> with tn.profile() as profile:
    ...     for _ in range(3):
    ...         x.grad = None
    ...         (x @ x).sum().backward()
    >>> sorted((row.operation, row.calls) for row in profile.rows)
    [('matmul', 3), ('matmul backward', 3), ('sum', 3), ('sum backward', 3)]
    """
    return Profile()


class Profile:
    """Where the time of a block went.

    `print(profile.table())` shows it.

    Attributes:
        seconds: how long the block took; while it lasts, how long so far.
        rows: the operations, those that took longest first.
        rest: the seconds that no row accounts for.
    """

    def __init__(self) -> None:
        self._profiler: Profiler | None = None
        self._outer: Profiler | None = None
        self._start = 0
        self._end = 0

    def __enter__(self) -> Profile:
        if self._profiler is not None:
            raise RuntimeError("profile: this one has measured a block; make another, tn.profile()")
        if recording.current() is not None:
            raise RuntimeError(
                "profile: a step that is being recorded cannot be measured in parts, and a replay "
                "would leave the measuring out; put the block around the compiled function"
            )
        self._outer = recording.current_profiler()
        self._profiler = Profiler()
        recording.begin(self._profiler)
        synchronize()
        self._start = clock()
        return self

    def __exit__(self, *exception: object) -> None:
        synchronize()
        self._end = clock()
        assert self._profiler is not None
        recording.end(self._profiler)
        if self._outer is not None:
            self._outer.absorb(self._profiler)

    @property
    def seconds(self) -> float:
        """How long the block took; while it lasts, how long so far."""
        if self._profiler is None:
            return 0.0
        return ((self._end or clock()) - self._start) * NANOSECONDS

    @property
    def rows(self) -> list[Row]:
        """The operations, those that took longest first."""
        return [] if self._profiler is None else rows_of(self._profiler.events, self.seconds)

    @property
    def rest(self) -> float:
        """The seconds that no row accounts for."""
        return self.seconds - sum(row.seconds for row in self.rows)

    def table(self) -> str:
        """The rows as text, then the rest, and the whole."""
        seconds, rows = self.seconds, self.rows
        rest = seconds - sum(row.seconds for row in rows)
        has_calls = any(row.call for row in rows)
        cells: list[tuple[str, ...]] = [("operation", "call", "calls", "ms", "share", "bytes")]
        for row in rows:
            amounts = *_amount(row.seconds, seconds), _bytes(row.nbytes)
            cells.append((row.operation, row.call, f"{row.calls:,}", *amounts))
        cells.append((REST, "", "", *_amount(rest, seconds), ""))
        nbytes = sum(row.nbytes for row in rows)
        cells.append(("all", "", "", *_amount(seconds, seconds), _bytes(nbytes)))
        if not has_calls:
            cells = [(row[0], *row[2:]) for row in cells]
        return _aligned(cells, left=2 if has_calls else 1)

    def save(self, path: StrPath) -> None:
        """Writes a trace for chrome://tracing or https://ui.perfetto.dev: each operation, and
        within it the calls of kernels, at its time.

        The file appears whole or not at all. Raises OSError where it cannot be written.
        """
        events = [] if self._profiler is None else self._profiler.events
        document = chrome_trace(events, self._start, self._end or clock())
        with atomic_write(path, "w") as file:
            json.dump(document, file)

    def __repr__(self) -> str:
        return f"<Profile of {self.seconds:.3g} s with {len(self.rows)} rows>"


def _amount(seconds: float, whole: float) -> tuple[str, str]:
    return f"{1000 * seconds:.3f}", f"{seconds / whole if whole else 0:.1%}"


def _bytes(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} B"


def _aligned(rows: list[tuple[str, ...]], left: int) -> str:
    """Rows as lines: so many columns to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join(lines)

"""How much of a file has come: a live bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_WIDTH = 100
# Seconds between two lines.
LINE_EVERY = 5.0


class Watcher(Protocol):
    """What is told how much has come."""

    def update(self, done: int, total: int | None) -> None:
        """`done` bytes of `total`, which may be unknown."""


@contextmanager
def watcher(progress: Callable[[str], None] | None) -> Iterator[Watcher]:
    """Shows progress as long as the block lasts.

    Arguments:
        progress: receives lines; None is a bar on stderr where that is a terminal, and lines there
            where it is none.
    """
    if progress is not None:
        yield Lines(progress)
    elif sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown"):
        bar = Bar()
        try:
            yield bar
        finally:
            bar.close()
    else:
        yield Lines(print_to_stderr)


def print_to_stderr(line: str) -> None:
    """Where progress goes by default."""
    print(line, file=sys.stderr, flush=True)


class Lines:
    """Says now and then how much has come."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._next = say, time.monotonic() + LINE_EVERY

    def update(self, done: int, total: int | None) -> None:
        if done and time.monotonic() >= self._next:
            self._say(f"  {_megabytes(done, total)}")
            self._next = time.monotonic() + LINE_EVERY


class Bar:
    """A bar that is gone when it is closed; it appears with the first byte."""

    def __init__(self) -> None:
        self._bar: Any = None

    def update(self, done: int, total: int | None) -> None:
        if self._bar is None and done:
            self._bar = self._begin()
        if self._bar is not None:
            amount = _megabytes(done, total)
            self._bar.update(self._task, completed=done, total=total, amount=amount, refresh=True)

    def _begin(self) -> Any:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        console = Console(stderr=True, highlight=False)
        console.width = min(console.width, MAX_WIDTH)
        columns = (BarColumn(bar_width=None), TextColumn("{task.fields[amount]}"))
        bar = Progress(
            *columns,
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            auto_refresh=False,
            transient=True,
            expand=True,
        )
        self._task = bar.add_task("", total=None, amount="")
        bar.start()
        return bar

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()


def _megabytes(done: int, total: int | None) -> str:
    """
    >>> _megabytes(41_234_567, 93_400_000), _megabytes(1_200_000, None)
    ('41.2 of 93.4 MB', '1.2 MB')
    """
    of = "" if total is None else f" of {max(done, total) / 1e6:.1f}"
    return f"{done / 1e6:.1f}{of} MB"

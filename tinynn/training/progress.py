"""What a person sees while training: a live bar on a terminal, lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import IO, Any, Protocol

__all__ = [
    "BarProgress",
    "LineProgress",
    "Progress",
    "SilentProgress",
    "choose_progress",
    "clock",
    "is_live",
]

MAX_WIDTH = 100
# The columns of the table of epochs, by the beginning or the end of the key: title, width, format.
NUMBER_FORMATS = {
    "loss": "{:.4f}",
    "accuracy": "{:.2%}",
    "learning_rate": "{:.5f}",
    "seconds": "{:.1f} s",
}
TITLES = {"learning_rate": "rate", "seconds": "time"}
NOT_SHOWN = ("epoch", "step", "samples_per_second")


class Progress(Protocol):
    """What `Trainer.fit` tells about its progress. Every method may take its time: none is called
    in every step."""

    def start(self, epochs: int, batches: int, epoch: int, batch: int) -> None:
        """Training begins; `epoch` of `epochs` and `batch` of `batches` in the next are done."""

    def update(
        self, epoch: int, batch: int, means: Mapping[str, float], samples_per_second: float
    ) -> None:
        """Some ten times a second: what is done, and the means of the epoch so far."""

    def finish_epoch(self, row: Mapping[str, Any]) -> None:
        """An epoch is over; `row` is its line of metrics.jsonl."""

    def stop(self) -> None:
        """Training is over, for whatever reason."""


class SilentProgress:
    """Shows nothing."""

    def start(self, epochs: int, batches: int, epoch: int, batch: int) -> None:
        pass

    def update(
        self, epoch: int, batch: int, means: Mapping[str, float], samples_per_second: float
    ) -> None:
        pass

    def finish_epoch(self, row: Mapping[str, Any]) -> None:
        pass

    def stop(self) -> None:
        pass


class LineProgress(SilentProgress):
    """Writes a table, a line per epoch."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.stream = sys.stdout if stream is None else stream
        self.has_header = False

    def start(self, epochs: int, batches: int, epoch: int, batch: int) -> None:
        self.epochs = epochs
        if (epoch or batch) and epoch < epochs:
            self.write(f"going on from epoch {epoch + 1}, batch {batch + 1} of {batches}")

    def finish_epoch(self, row: Mapping[str, Any]) -> None:
        if not self.has_header:
            self.write(header(row))
            self.has_header = True
        self.write(table_row(row, self.epochs))

    def write(self, line: str) -> None:
        print(line, file=self.stream, flush=True)


class BarProgress(LineProgress):
    """The same table with a live bar below it: loss and metrics, samples per second, time left."""

    def start(self, epochs: int, batches: int, epoch: int, batch: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self.batches = batches
        self.began, self.done_before = time.perf_counter(), epoch * batches + batch
        console = Console(file=self.stream, highlight=False)
        console.width = min(console.width, MAX_WIDTH)
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[means]}  {task.fields[rate]}  {task.fields[left]}"),
            console=console,
            auto_refresh=False,
            transient=True,
            expand=True,
        )
        self.task = self.bar.add_task("", total=batches, completed=batch)
        self.bar.update(self.task, epoch=epoch + 1, epochs=epochs, means="", rate="", left="")
        self.bar.start()
        super().start(epochs, batches, epoch, batch)

    def update(
        self, epoch: int, batch: int, means: Mapping[str, float], samples_per_second: float
    ) -> None:
        done = epoch * self.batches + batch
        seconds = time.perf_counter() - self.began
        left = seconds / max(done - self.done_before, 1) * (self.epochs * self.batches - done)
        self.bar.update(
            self.task,
            completed=batch,
            epoch=epoch + 1,
            means="  ".join(f"{name} {_format(name, mean)}" for name, mean in means.items()),
            rate=f"{samples_per_second:>7,.0f}/s",
            left=f"{clock(left):>5} left",
            refresh=True,
        )

    def write(self, line: str) -> None:
        self.bar.console.print(line, markup=False, soft_wrap=True)

    def stop(self) -> None:
        self.bar.stop()


def choose_progress(progress: Progress | str | None) -> Progress:
    """The progress for an argument: "auto", None, or one that is given."""
    if progress is None:
        return SilentProgress()
    if not isinstance(progress, str):
        return progress
    if progress != "auto":
        raise ValueError(f"progress: got {progress!r}, expected 'auto', None or an object")
    return BarProgress() if is_live() else LineProgress()


def is_live() -> bool:
    """Whether standard output is a terminal on which a bar can be drawn."""
    return sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def header(row: Mapping[str, Any]) -> str:
    """The titles of the table's columns.

    >>> row = {"epoch": 3, "step": 9, "train_loss": 0.5, "train_accuracy": 0.875, "seconds": 1.25}
    >>> for line in (header(row), table_row(row, epochs=20)):
    ...     print(line)
      epoch  train loss  accuracy     time
       3/20      0.5000    87.50%    1.2 s
    """
    return "  ".join(f"{title:>{width}}" for _, title, width in _columns(row))


def table_row(row: Mapping[str, Any], epochs: int) -> str:
    """A row of metrics.jsonl as a line of the table."""
    cells = {key: _format(key, row[key]) for key in row}
    cells["epoch"] = f"{row['epoch']}/{epochs}"
    return "  ".join(f"{cells[key]:>{width}}" for key, _, width in _columns(row))


def _columns(row: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """(key, title, width) of the columns, in the order of the row."""
    columns = [("epoch", "epoch", 7)]
    for key in row:
        if key in NOT_SHOWN:
            continue
        title = TITLES.get(key, key.replace("_", " "))
        part, _, name = title.partition(" ")
        if part in ("train", "validation") and name != "loss":
            title = name  # it stands beside the loss of its part
        columns.append((key, title, max(len(title), 7)))
    return columns


def _format(key: str, value: Any) -> str:
    name = key.removeprefix("train_").removeprefix("validation_")
    return NUMBER_FORMATS.get(name, "{:.4g}").format(value)


def clock(seconds: float) -> str:
    """A duration as h:mm:ss or m:ss."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

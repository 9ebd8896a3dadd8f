"""What a person sees while training: a live bar on a terminal, lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
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
    """Writes a table, a line per epoch.

    Arguments:
        stream: where to; None is standard output.
        steps: of the optimizer in all epochs; where given, steps are told and not epochs, for
            training in which an epoch is only what lies between two evaluations.
        accumulate: batches in a step.
        note: gives what is written below each line.
    """

    def __init__(
        self,
        stream: IO[str] | None = None,
        steps: int | None = None,
        accumulate: int = 1,
        note: Callable[[], str] | None = None,
    ) -> None:
        self.stream = sys.stdout if stream is None else stream
        self.steps, self.accumulate, self.note = steps, accumulate, note
        self.has_header = False

    def start(self, epochs: int, batches: int, epoch: int, batch: int) -> None:
        self.epochs, self.batches = epochs, batches
        if (epoch or batch) and epoch < epochs:
            if self.steps is None:
                self.write(f"going on from epoch {epoch + 1}, batch {batch + 1} of {batches}")
            else:
                self.write(f"going on from step {self.step(epoch, batch):,} of {self.steps:,}")

    def step(self, epoch: int, batch: int) -> int:
        """How many steps are finished."""
        return (epoch * self.batches + batch) // self.accumulate

    def total(self) -> int:
        """How many batches there are in all epochs."""
        return self.epochs * self.batches if self.steps is None else self.steps * self.accumulate

    def finish_epoch(self, row: Mapping[str, Any]) -> None:
        by, total = ("epoch", self.epochs) if self.steps is None else ("step", self.steps)
        if not self.has_header:
            self.write(header(row, by))
            self.has_header = True
        self.write(table_row(row, total, by))
        if self.note is not None:
            self.write(self.note())

    def write(self, line: str) -> None:
        print(line, file=self.stream, flush=True)


class BarProgress(LineProgress):
    """The same table with a live bar below it: loss and metrics, samples per second, time left."""

    def start(self, epochs: int, batches: int, epoch: int, batch: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self.epochs, self.batches = epochs, batches
        self.began, self.done_before = time.perf_counter(), epoch * batches + batch
        console = Console(file=self.stream, highlight=False)
        console.width = min(console.width, MAX_WIDTH)
        self.bar = Progress(
            TextColumn("{task.fields[place]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[means]}  {task.fields[rate]}  {task.fields[left]}"),
            console=console,
            auto_refresh=False,
            transient=True,
            expand=True,
        )
        total = batches if self.steps is None else self.total()
        self.task = self.bar.add_task("", total=total)
        self.bar.update(self.task, **self.place(epoch, batch), means="", rate="", left="")
        self.bar.start()
        super().start(epochs, batches, epoch, batch)

    def update(
        self, epoch: int, batch: int, means: Mapping[str, float], samples_per_second: float
    ) -> None:
        done = epoch * self.batches + batch
        seconds = time.perf_counter() - self.began
        left = seconds / max(done - self.done_before, 1) * (self.total() - done)
        self.bar.update(
            self.task,
            **self.place(epoch, batch),
            means="  ".join(f"{name} {_format(name, mean)}" for name, mean in means.items()),
            rate=f"{samples_per_second:>7,.0f}/s",
            left=f"{clock(left):>5} left",
            refresh=True,
        )

    def place(self, epoch: int, batch: int) -> dict[str, Any]:
        """Where training is, in words and in batches of what the bar stands for."""
        if self.steps is None:
            return {"place": f"epoch {epoch + 1}/{self.epochs}", "completed": batch}
        words = f"step {self.step(epoch, batch):,}/{self.steps:,}"
        return {"place": words, "completed": epoch * self.batches + batch}

    def write(self, line: str) -> None:
        self.bar.console.print(line, markup=False, soft_wrap=True)

    def stop(self) -> None:
        self.bar.stop()


def choose_progress(progress: Progress | str | None, **options: Any) -> Progress:
    """The progress for an argument: "auto", with options of LineProgress; None; or one given."""
    if progress is None:
        return SilentProgress()
    if not isinstance(progress, str):
        return progress
    if progress != "auto":
        raise ValueError(f"progress: got {progress!r}, expected 'auto', None or an object")
    return BarProgress(**options) if is_live() else LineProgress(**options)


def is_live() -> bool:
    """Whether standard output is a terminal on which a bar can be drawn."""
    return sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def header(row: Mapping[str, Any], by: str = "epoch") -> str:
    """The titles of the table's columns.

    >>> row = {"epoch": 3, "step": 9, "train_loss": 0.5, "train_accuracy": 0.875, "seconds": 1.25}
    >>> for line in (header(row), table_row(row, epochs=20)):
    ...     print(line)
      epoch  train loss  accuracy     time
       3/20      0.5000    87.50%    1.2 s
    """
    return "  ".join(f"{title:>{width}}" for _, title, width in _columns(row, by))


def table_row(row: Mapping[str, Any], epochs: int, by: str = "epoch") -> str:
    """A row of metrics.jsonl as a line of the table; `by` may be "step", of so many steps."""
    cells = {key: _format(key, row[key]) for key in row}
    cells[by] = f"{row[by]}/{epochs}"
    return "  ".join(f"{cells[key]:>{width}}" for key, _, width in _columns(row, by))


def _columns(row: Mapping[str, Any], by: str) -> list[tuple[str, str, int]]:
    """(key, title, width) of the columns, in the order of the row."""
    columns = [(by, by, 7 if by == "epoch" else 11)]
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

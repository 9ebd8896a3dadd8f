"""Many runs at once: a function over a list of tasks, in processes that have a core each."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np

from tinynn.backend.threads import get_num_threads, set_num_threads
from tinynn.training.health import TrainingWarning
from tinynn.training.progress import clock

__all__ = ["Place", "Workers"]

Task = TypeVar("Task")
Result = TypeVar("Result")

# Where there is no terminal, a line this often, seconds.
LINE_EVERY = 20.0


class Place(NamedTuple):
    """Where a task finds its images, and where it computes."""

    data: str | None
    """A folder of IDX files; None is MNIST."""
    device: str


class Workers:
    """Processes that carry out tasks, one at a time each, with one thread each.

    Two networks trained side by side on two cores get done sooner than one after the other with
    each product split in two. A task's result depends on the task alone, so neither the number of
    processes nor their order changes a number.

    Arguments:
        processes: how many; 1 works in the calling process.
        data, device: of the Place that each task is given.
        say: receives lines of text on what is being done.
        is_live: whether to draw a bar on the terminal meanwhile.
    """

    def __init__(
        self,
        processes: int,
        data: str | None = None,
        device: str = "cpu",
        say: Callable[[str], Any] = print,
        is_live: bool = False,
    ) -> None:
        if processes < 1:
            raise ValueError(f"Workers: processes is {processes}, expected at least 1")
        self.processes = processes
        self.place = Place(data, device)
        self.say, self.is_live = say, is_live

    def map(
        self,
        title: str,
        function: Callable[[Place, Task], Result],
        tasks: Sequence[Task],
        *,
        alone: bool = False,
    ) -> list[Result]:
        """What `function(place, task)` returns for each task, in their order.

        Start with the tasks that take longest: the last ones then fill the cores evenly. An
        exception in a task ends the work and is raised here. Function, tasks and results must be
        picklable, and the function belong to a module.

        Arguments:
            alone: whether each task is to have a process of its own, with no other beside it: for
                measurements, which depend on both.
        """
        began = time.perf_counter()
        results: dict[int, Result] = {}
        with self._progress(title, len(tasks)) as advance:
            for index, result in self._completed(function, tasks, alone):
                results[index] = result
                advance(len(results))
        seconds = time.perf_counter() - began
        runs = "run" if len(tasks) == 1 else "runs"
        self.say(f"{title}: {len(tasks)} {runs} in {clock(seconds)}")
        return [results[index] for index in range(len(tasks))]

    def _completed(
        self, function: Callable[[Place, Task], Result], tasks: Sequence[Task], alone: bool
    ) -> Iterator[tuple[int, Result]]:
        if alone:
            for index, task in enumerate(tasks):
                for _, result in self._in_processes(function, [task], 1):
                    yield index, result
            return
        processes = min(self.processes, len(tasks))
        if processes <= 1:
            before = get_num_threads()
            set_num_threads(1)
            try:
                for index, task in enumerate(tasks):
                    yield index, _carry_out(function, self.place, task)
            finally:
                set_num_threads(before)
            return
        yield from self._in_processes(function, tasks, processes)

    def _in_processes(
        self, function: Callable[[Place, Task], Result], tasks: Sequence[Task], processes: int
    ) -> Iterator[tuple[int, Result]]:
        from concurrent.futures import ProcessPoolExecutor, as_completed
        from concurrent.futures.process import BrokenProcessPool

        # Spawned, because OpenMP's threads do not survive a fork.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, context, initializer=_begin) as executor:
            try:
                futures = {
                    executor.submit(_carry_out, function, self.place, task): index
                    for index, task in enumerate(tasks)
                }
                for future in as_completed(futures):
                    yield futures[future], future.result()
            except BaseException as error:
                executor.shutdown(wait=False, cancel_futures=True)
                for process in multiprocessing.active_children():
                    process.terminate()
                if isinstance(error, BrokenProcessPool):
                    raise RuntimeError(
                        "a process that computes was ended from outside, perhaps for want of "
                        "memory; try --processes 1"
                    ) from None
                raise

    @contextmanager
    def _progress(self, title: str, count: int) -> Iterator[Callable[[int], None]]:
        if self.is_live:
            with _bar(title, count) as advance:
                yield advance
            return
        last = time.perf_counter()

        def advance_by_lines(done: int) -> None:
            nonlocal last
            if time.perf_counter() - last > LINE_EVERY and done < count:
                self.say(f"{title}: {done} of {count} runs")
                last = time.perf_counter()

        yield advance_by_lines


@contextmanager
def _bar(title: str, count: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(highlight=False)
    console.width = min(console.width, 100)
    columns = (TextColumn(title), BarColumn(None), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, expand=True) as bar:
        task = bar.add_task("", total=count)
        yield lambda done: bar.update(task, completed=done)


def _begin() -> None:
    """What a worker does first: one thread, and an end with its parent's."""
    set_num_threads(1)
    # Ctrl-C reaches the whole group of processes, and the parent is the one that speaks of it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _carry_out(function: Callable[[Place, Task], Result], place: Place, task: Task) -> Result:
    with warnings.catch_warnings(), np.errstate(over="ignore", invalid="ignore"):
        # What training warns of is what a study looks at.
        warnings.simplefilter("ignore", TrainingWarning)
        return function(place, task)

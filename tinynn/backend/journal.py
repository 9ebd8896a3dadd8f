"""What a function read besides arrays, noted, so that another run of it reads the same.

That is what `live`, `drawn` and `constant` of recording.py give: counts of steps, random numbers,
seeds. So a function that is computed again in a backward pass draws the same random numbers, and
counts no step twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Journal:
    """The readings of one run of a function, in order.

    Arguments:
        recorder: whose run it is a part of, or None. What another one sees is not noted.
    """

    def __init__(self, recorder: Any) -> None:
        self.recorder = recorder
        self._values: list[Any] = []

    @contextmanager
    def noting(self) -> Iterator[None]:
        """A context in which this thread's readings are noted."""
        outer = _here.reader

        def read_and_note(recorder: Any, read: Callable[[], Any]) -> Any:
            if recorder is not self.recorder:
                return read()
            value = read() if outer is None else outer(recorder, read)
            self._values.append(value)
            return value

        with _reading_by(read_and_note):
            yield

    @contextmanager
    def again(self) -> Iterator[None]:
        """A context in which this thread reads what was noted, from the beginning."""
        values = iter(self._values)

        def read_noted(recorder: Any, read: Callable[[], Any]) -> Any:
            if recorder is not self.recorder:
                return read()
            for value in values:
                return value
            raise RuntimeError(
                "checkpoint: computed again, the function draws more random numbers than before; "
                "it must do the same both times"
            )

        with _reading_by(read_noted):
            yield


def told(recorder: Any, read: Callable[[], Any]) -> Any:
    """What `read` gives, or gave when it was noted."""
    reader = _here.reader
    return read() if reader is None else reader(recorder, read)


def is_kept() -> bool:
    """Whether there is a journal in this thread."""
    return _here.reader is not None


class _Here(threading.local):
    reader: Callable[[Any, Callable[[], Any]], Any] | None = None


_here = _Here()


@contextmanager
def _reading_by(reader: Callable[[Any, Callable[[], Any]], Any]) -> Iterator[None]:
    outer, _here.reader = _here.reader, reader
    try:
        yield
    finally:
        _here.reader = outer

"""Running an iterator ahead of its reader, in a thread."""

from __future__ import annotations

import threading
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

_END = object()


def prefetch(source: Iterator[T], depth: int) -> Iterator[T]:
    """The items of `source`, taken up to `depth` ahead by a thread.

    An exception in the source is raised where its item would have come. The thread starts with the
    first item and ends with the last one, with an exception on either side, or when the returned
    generator is closed or forgotten (a `break` out of a loop over it).
    """
    queue: Queue[tuple[Any, BaseException | None]] = Queue(depth)
    stopped = threading.Event()
    thread = threading.Thread(
        target=_fill, args=(queue, source, stopped), name="tinynn-prefetch", daemon=True
    )
    thread.start()
    try:
        while True:
            item, error = queue.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stopped.set()
        _drain(queue)  # so that a thread waiting for room goes on, and sees that it is to stop
        thread.join()


def _fill(
    queue: Queue[tuple[Any, BaseException | None]], source: Iterator[Any], stopped: threading.Event
) -> None:
    try:
        for item in source:
            queue.put((item, None))
            if stopped.is_set():
                return
        queue.put((_END, None))
    except BaseException as error:  # raised again by the reader, whatever it is
        queue.put((None, error))


def _drain(queue: Queue[Any]) -> None:
    try:
        while True:
            queue.get_nowait()
    except Empty:
        pass

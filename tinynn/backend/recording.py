"""Where a recorder listens, while a step is being recorded (see tinynn.capture).

Arrays that go through the door are handed to the recorder there. What a step reads besides arrays
(the learning rate, the number of a pass, a seed, random numbers drawn on the host) goes through the
functions of this file, so that a replay reads it anew. Without a recorder they cost next to
nothing.

A profiler (see tinynn.profiling) listens at the same places, and only looks at the clock. Of
several listeners in a thread the one that began last is told; so what a step does while it is
recorded is not measured call by call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeVar

from tinynn.backend.journal import is_kept, told
from tinynn.backend.kernel_table import observe_kernels

Method = TypeVar("Method", bound=Callable[..., Any])

# The listener that began last, or None. Others than its own thread go on as if there were none.
active: Any = None
_listeners: list[Any] = []
_changing = threading.Lock()


def begin(listener: Any) -> None:
    """Lets a recorder or a profiler listen from now on."""
    global active
    with _changing:
        _listeners.append(listener)
        active = listener
        observe_kernels(_hand_on)


def end(listener: Any) -> None:
    """Lets it listen no longer."""
    global active
    with _changing:
        if listener in _listeners:
            _listeners.remove(listener)
        active = _listeners[-1] if _listeners else None
        if active is None:
            observe_kernels(None)


def current_listener() -> Any:
    """The recorder or profiler of this thread, the one that began last; or None."""
    if active is None:
        return None
    return next((one for one in reversed(_listeners) if one.is_here()), None)


def current() -> Any:
    """The recorder of this thread, or None."""
    listener = None if active is None else current_listener()
    return listener if listener is not None and listener.records else None


def current_profiler() -> Any:
    """The profiler of this thread, or None; also None while a recorder is at work."""
    listener = None if active is None else current_listener()
    return None if listener is None or listener.records else listener


def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that computes outside of operations, in a form of which a profiler takes the time;
    without one, the function itself."""
    profiler = None if active is None else current_profiler()
    return function if profiler is None else partial(profiler.timed, name, function)


def _hand_on(twins: Any, work: int, arguments: tuple[Any, ...]) -> Any:
    """A call of a compiled kernel, to the listener of this thread."""
    listener = current_listener()
    if listener is None:
        return twins.run(work, *arguments)
    return listener.twin(twins, work, arguments)


def seen(array: Any) -> Any:
    """The array as the recorder sees it, so that what is done with it is recorded."""
    recorder = current()
    return array if recorder is None or array is None else recorder.array(array)


def read(tensor: Any) -> Any:
    """The array of a tensor that is copied; in a replay it is copied anew."""
    recorder = current()
    return tensor.data if recorder is None else recorder.read(tensor)


def made(array: Any) -> Any:
    """An array made of numbers that no recorder sees; in each replay it is as it was at first."""
    recorder = current()
    return array if recorder is None else recorder.given_numbers(array)


def plain(array: Any) -> Any:
    """The array behind a recorded one, for questions of identity."""
    return getattr(array, "array", array) if active is not None else array


def live(read: Callable[[], float], dtype: str = "float64") -> Any:
    """The number that `read` gives; to a recorder an array of it, [1], read in each replay."""
    recorder = current()
    return told(recorder, read if recorder is None else partial(recorder.live, read, dtype))


def drawn(draw: Callable[[], Any]) -> Any:
    """The array that `draw` gives, drawn again in each replay."""
    recorder = current()
    array = told(recorder, draw if recorder is None else partial(recorder.drawn, draw))
    return array.copy() if is_kept() else array  # whatever is done to it, what is noted stays


def constant(name: str, read: Callable[[], Any]) -> Any:
    """The value that `read` gives; a replay takes place only as long as it gives the same."""
    recorder = current()
    return told(recorder, read if recorder is None else partial(recorder.constant, name, read))


def checked(check: Callable[..., None], *arguments: Any) -> None:
    """Calls `check`, which raises for values that are not right, in each replay as well."""
    recorder = current()
    if recorder is None:
        check(*arguments)
    else:
        recorder.check(check, arguments)


def rewriting(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """Calls a function that writes the same numbers to the same places when it is called again, so
    that a recorder need not keep what was there."""
    recorder = current()
    if recorder is None:
        return function(*arguments, **keywords)
    return recorder.rewriting(function, arguments, keywords)


def repeated(method: Method) -> Method:
    """Decorates a method that changes no arrays but its object: a replay calls it as well."""

    @wraps(method)
    def wrapper(self: Any, *arguments: Any, **keywords: Any) -> Any:
        recorder = current()
        if recorder is None:
            return method(self, *arguments, **keywords)
        bound = method.__get__(self)
        return recorder.repeat(lambda: bound(*arguments, **keywords), bound)

    return wrapper  # type: ignore[return-value]

"""Whether operations are recorded for a backward pass: `no_grad` and `enable_grad`."""

from __future__ import annotations

import threading
from functools import wraps
from inspect import isgeneratorfunction
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    Function = TypeVar("Function", bound="Callable[..., Any]")


class GradMode(threading.local):
    """One switch a thread, as in PyTorch: serving without gradients beside a thread that trains."""

    enabled = True


grad_mode = GradMode()


def is_grad_enabled() -> bool:
    """Whether operations on this thread are recorded.

    >>> is_grad_enabled()
    True
    """
    return grad_mode.enabled


class Mode:
    """A context, or a decorator of functions and generators, under which recording is on or off."""

    def __init__(self, mode: bool) -> None:
        self.mode = mode
        self.previous: list[bool] = []  # one for each time that it was entered

    def __enter__(self) -> None:
        self.previous.append(grad_mode.enabled)
        grad_mode.enabled = self.mode

    def __exit__(self, *exception: object) -> None:
        grad_mode.enabled = self.previous.pop()

    def __call__(self, function: Function) -> Function:
        mode = self.mode

        @wraps(function)
        def wrapper(*arguments: Any, **keywords: Any) -> Any:
            with Mode(mode):
                return function(*arguments, **keywords)

        @wraps(function)
        def generator(*arguments: Any, **keywords: Any) -> Any:
            items = function(*arguments, **keywords)
            while True:
                with Mode(mode):  # while it runs, not while it waits for its reader
                    try:
                        item = next(items)
                    except StopIteration as end:
                        return end.value
                yield item

        return generator if isgeneratorfunction(function) else wrapper  # type: ignore[return-value]


class set_grad_enabled(Mode):
    """Turns recording on or off: from here on, or, as a context, until the end of the block.

    >>> import tinynn as tn
    >>> weight = tn.tensor([1.0, 2.0], requires_grad=True)
    >>> with tn.set_grad_enabled(False):
    ...     loss = (weight * 2).sum()
    >>> loss.requires_grad
    False
    """

    def __init__(self, mode: bool) -> None:
        super().__init__(mode)
        self.before = grad_mode.enabled
        grad_mode.enabled = mode

    def __enter__(self) -> None:
        grad_mode.enabled = self.mode

    def __exit__(self, *exception: object) -> None:
        grad_mode.enabled = self.before

    def __call__(self, function: Function) -> Function:
        grad_mode.enabled = self.before
        return super().__call__(function)


class no_grad(Mode):
    """Under it operations are not recorded, and tensors may be changed in place.

    >>> import tinynn as tn
    >>> weight = tn.tensor([1.0, 2.0], requires_grad=True)
    >>> with no_grad():
    ...     weight -= 0.5
    >>> (weight * 2).requires_grad
    True
    """

    def __init__(self) -> None:
        super().__init__(False)


class enable_grad(Mode):
    """Under it operations are recorded, also inside `no_grad`."""

    def __init__(self) -> None:
        super().__init__(True)

"""What a compiled function returns: the same structure, its tensors in fresh memory each time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from tinynn.autograd.node import Node
from tinynn.autograd.tensor import Tensor, make_tensor
from tinynn.capture.buffers import EXTERNAL, Buffer, View
from tinynn.capture.errors import CaptureError
from tinynn.capture.traced import TracedArray

Locate: TypeAlias = Callable[[TracedArray], tuple[TracedArray, View]]


class PendingBackward(CaptureError):
    """A result still waits for a backward pass, which could not find what the step computed."""


class Outputs:
    """The result of the recorded run, as a pattern.

    Arguments:
        result: what the function returned: tensors, traced arrays, other values, and lists, tuples
            and dicts of them.
        locate: traced array -> the one to return, and its View.
    """

    def __init__(self, result: Any, locate: Locate) -> None:
        self._views: list[View] = []
        self._recorded: list[Any] = []
        self._pattern = self._of(result, locate)
        self._arrays: list[Any] = []

    def _of(self, value: Any, locate: Locate) -> Any:
        if isinstance(value, Tensor):
            if isinstance(value.node, Node) and value.node.saved is not None:
                raise PendingBackward(
                    "compile: a result still waits for its backward pass, and a replay keeps "
                    "nothing for it: call backward within the function, return loss.detach(), or "
                    "call the function under tn.no_grad()"
                )
            if not isinstance(value.data, TracedArray):
                return _Always(value)
            return self._place(value.data, locate, is_tensor=True)
        if isinstance(value, TracedArray):
            return self._place(value, locate, is_tensor=False)
        if type(value) in (list, tuple):
            return type(value)(self._of(item, locate) for item in value)
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*(self._of(item, locate) for item in value))
        if type(value) is dict:
            return {key: self._of(item, locate) for key, item in value.items()}
        if hasattr(value, "dtype"):
            raise CaptureError(
                f"compile: a result is {type(value).__module__}.{type(value).__name__} that was "
                "made unseen by the recorder, and would stay as it is; compute it from tensors "
                "with the operations of tinynn"
            )
        return _Always(value)

    def _place(self, traced: TracedArray, locate: Locate, is_tensor: bool) -> _Place:
        traced, view = locate(traced)
        self._views.append(view)
        self._recorded.append(traced.array)
        is_fresh = self._views[-1].buffer.kind != EXTERNAL
        return _Place(len(self._views) - 1, is_tensor, is_fresh)

    def buffers(self) -> set[Buffer]:
        """The buffers that hold results."""
        return {view.buffer for view in self._views}

    def bind(self, array_of: Callable[[View], Any]) -> None:
        """Finds the arrays of the results."""
        self._arrays = [array_of(view) for view in self._views]

    def collect(self) -> Any:
        """The result, of what the arrays hold now."""
        return _filled(self._pattern, self._arrays)

    def of_recording(self) -> Any:
        """The result of the recorded run itself, on real arrays; to be asked for once."""
        recorded, self._recorded = self._recorded, []
        return _filled(self._pattern, recorded)


class _Place:
    """An array of the result."""

    __slots__ = ("is_fresh", "is_tensor", "number")

    def __init__(self, number: int, is_tensor: bool, is_fresh: bool) -> None:
        self.number = number
        self.is_tensor = is_tensor
        self.is_fresh = is_fresh


class _Always:
    """A value that is the same each time."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _filled(pattern: Any, arrays: list[Any]) -> Any:
    if type(pattern) is _Place:
        array = arrays[pattern.number]
        if pattern.is_fresh:
            array = array.copy()
        return make_tensor(array, None, None) if pattern.is_tensor else array
    if type(pattern) is _Always:
        return pattern.value
    if type(pattern) is dict:
        return {key: _filled(item, arrays) for key, item in pattern.items()}
    items = [_filled(item, arrays) for item in pattern]
    return type(pattern)(*items) if hasattr(pattern, "_fields") else type(pattern)(items)

"""The array module of a recording: every function of it goes through the recorder."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from tinynn.backend import recording
from tinynn.capture.errors import outlived


class Namespace:
    """An array module (NumPy, CuPy) whose calls are written down."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, name)
        if isinstance(found, ModuleType):
            found = Namespace(found)
        elif callable(found) and not isinstance(found, type):
            found = Function(found)
        setattr(self, name, found)
        return found


class Function:
    """A function of an array module, or a ufunc with its methods."""

    def __init__(self, function: Any) -> None:
        self._function = function

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        recorder = recording.current()
        if recorder is None:
            raise outlived()
        return recorder.call(self._function, arguments, keywords)

    def __getattr__(self, name: str) -> Any:
        return Function(getattr(self._function, name))

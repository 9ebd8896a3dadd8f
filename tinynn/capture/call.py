"""A recorded call: which function on which parts of which buffers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tinynn.capture.buffers import Buffer, View

# How a call is made again, see forms.py.
OUT = "out"  # function(*arguments, out=result)
COPY = "copy"  # the one argument is copied (cast, broadcast) to the result
WHERE = "where"  # condition, one, other
IN_PLACE = "in place"  # function(*arguments), which writes into one of them
TWIN = "twin"  # a compiled kernel, which writes into some of its arguments
FRESH = "fresh"  # function(*arguments) makes an array, which is copied to the result


class Call:
    """One call of an array function or a kernel.

    Attributes:
        operation: the operation of the engine that it is part of, for those who read the plan.
        name: of the function.
        form: how it is made again.
        function, arguments, keywords: the call; Views stand for arrays, also within lists. Of a
            TWIN, function is (the twins, how much work it is).
        results: the views that it writes.
        elementwise: whether each element of the result depends on those at its place alone, so that
            the result may take an argument's memory.
    """

    __slots__ = (
        "arguments",
        "elementwise",
        "form",
        "function",
        "keywords",
        "name",
        "operation",
        "results",
    )

    def __init__(
        self,
        operation: str,
        name: str,
        form: str,
        function: Any,
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        results: list[View],
        elementwise: bool = False,
    ) -> None:
        self.operation = operation
        self.name = name
        self.form = form
        self.function = function
        self.arguments = arguments
        self.keywords = keywords
        self.results = results
        self.elementwise = elementwise

    def inputs(self) -> Iterator[View]:
        """The views among the arguments, those that it writes included where they are arguments."""
        yield from _views(self.arguments)
        yield from _views(tuple(self.keywords.values()))

    def touched(self) -> set[Buffer]:
        """The buffers that it reads or writes."""
        return {view.buffer for view in (*self.inputs(), *self.results)}

    def written(self) -> set[Buffer]:
        """The buffers that it writes."""
        return {view.buffer for view in self.results}

    def read(self) -> set[Buffer]:
        """The buffers that it may read: of arguments that it writes, what they held before."""
        return {view.buffer for view in self.inputs()}

    def replace(self, old: Buffer, new: View) -> None:
        """Puts a part of another buffer, of the same size, in the place of a whole buffer."""

        def moved(view: View) -> View:
            if view.buffer is not old:
                return view
            return view._replace(buffer=new.buffer, offset=view.offset + new.offset)

        self.arguments = substituted(self.arguments, moved)
        self.keywords = {key: substituted(value, moved) for key, value in self.keywords.items()}
        self.results = [moved(view) for view in self.results]


def substituted(value: Any, change: Callable[[View], Any]) -> Any:
    """The value with every View in it, also within lists and tuples, changed."""
    if isinstance(value, View):
        return change(value)
    if type(value) in (tuple, list):
        return type(value)(substituted(item, change) for item in value)
    return value


def _views(value: Any) -> Iterator[View]:
    if isinstance(value, View):
        yield value
    elif type(value) in (tuple, list):
        for item in value:
            yield from _views(item)

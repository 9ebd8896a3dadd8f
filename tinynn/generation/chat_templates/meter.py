"""What a template may use: how many steps, how much text, how much time."""

from __future__ import annotations

import time
from collections.abc import ItemsView, KeysView, Mapping, ValuesView
from contextvars import ContextVar
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_SOURCE = 250_000  # characters of a template; the longest that models have are a tenth of it
MAX_STEPS = 200_000
MAX_SIZE = 1_000_000  # of one value, see `weight`
MAX_SECONDS = 5.0  # of the processor
MAX_BITS = 2048
MAX_DEPTH = 64
MAX_WIDTH = 9999
_ELEMENT = 8  # an element of a list costs as much memory and time as some characters


class TemplateRefused(Exception):
    """A template wants more than it may use."""


class Meter:
    """Counts what one rendering uses, and stops it beyond the limits.

    The limits grow with the conversation. No value may be larger than `size`, so that no single
    operation takes long; all values together are bounded, so that memory is; steps are counted, so
    that loops and recursion end; and the time of the processor is, for what is slow all the same.

    Arguments:
        inputs: what the template is given.
    """

    def __init__(self, inputs: Any) -> None:
        given = weight(inputs, 10**12)
        self.size = MAX_SIZE + 4 * given
        self._text = 32 * self.size
        self._steps = MAX_STEPS + 10 * given
        self._deadline = time.thread_time() + MAX_SECONDS

    def step(self, text: int = 0) -> bool:
        """Counts a step, and the characters that it writes."""
        self._steps -= 1
        self._text -= text
        if self._steps < 0:
            raise TemplateRefused("it does not end within a reasonable number of steps")
        if self._text < 0:
            raise TemplateRefused("it makes more text than is reasonable for the conversation")
        if time.thread_time() > self._deadline:
            raise TemplateRefused(f"it takes more than {MAX_SECONDS:g} seconds")
        return True

    def measured(self, value: Any) -> Any:
        """The value itself, counted as new; TemplateRefused for one that is too large."""
        weight(value, self.size)
        size = len(value) if isinstance(value, (str, bytes, list, tuple, dict)) else 0
        self.step(size if isinstance(value, (str, bytes)) else _ELEMENT * size)
        return value

    def room(self, size: int) -> None:
        """Makes sure, before something is computed, that it is not too large."""
        if size > self.size:
            raise TemplateRefused(f"it makes a value of more than {self.size} characters")

    def listed(self, items: Iterable[Any]) -> list[Any]:
        """All items, which may come one by one."""
        values = list(islice(iter(items), self.size // _ELEMENT + 1))
        self.room(_ELEMENT * len(values))
        return values

    def put_in(self, format: str, widths: Iterable[str], signs: int, values: Any) -> None:
        """Makes sure that a text with values put in at its signs is not too large."""
        widest = max((int(digits[:9]) for digits in widths if digits), default=0)
        if widest > MAX_WIDTH:
            raise TemplateRefused("it formats a value to a width that is not reasonable")
        self.room(len(format) + signs * (widest + weight(values, self.size)))


METER: ContextVar[Meter] = ContextVar("METER")


def weight(value: Any, limit: int) -> int:
    """The size of a value with all that is in it, however often: its characters, and 8 for itself
    and for each element.

    TemplateRefused for more than `limit`, for a nesting deeper than `MAX_DEPTH`, and for an int of
    more than `MAX_BITS`.

    >>> weight(["ab", {"c": 1}], 100)
    43
    """
    total = 0
    stack = [(value, 0)]
    while stack:
        item, depth = stack.pop()
        total += _ELEMENT
        if isinstance(item, (str, bytes)):
            total += len(item)
        elif isinstance(item, int):
            if item.bit_length() > MAX_BITS:
                raise TemplateRefused("it computes with numbers that are too large")
        elif isinstance(item, Mapping):
            stack += [(inner, depth + 1) for entry in item.items() for inner in entry]
        elif isinstance(item, (list, tuple, set, frozenset, KeysView, ValuesView, ItemsView)):
            stack += [(inner, depth + 1) for inner in item]
        if total + _ELEMENT * len(stack) > limit:
            raise TemplateRefused(f"it makes a value of more than {limit} characters")
        if depth > MAX_DEPTH:
            raise TemplateRefused(f"it makes or is given a value nested deeper than {MAX_DEPTH}")
    return total

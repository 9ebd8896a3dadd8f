"""The options of operations on the windows of an image: pairs of numbers, counts of windows."""

from __future__ import annotations

import operator
from typing import Any, TypeAlias

Pair: TypeAlias = tuple[int, int]


def pair_of(name: str, argument: str, value: Any, least: int) -> Pair:
    """(vertical, horizontal), from two numbers or from one for both.

    Raises TypeError for what is not integers, ValueError for a number below `least`.
    """
    values = tuple(value) if isinstance(value, tuple | list) else (value, value)
    try:
        numbers = tuple(operator.index(item) for item in values)
    except TypeError:
        numbers = ()
    if len(numbers) != 2:
        raise TypeError(f"{name}: {argument} must be an int or a pair of ints, got {value!r}")
    if min(numbers) < least:
        raise ValueError(f"{name}: {argument} must be at least {least}, got {value!r}")
    return numbers


def windows_along(
    size: int, window: int, stride: int, dilation: int, round_up: bool = False
) -> int:
    """How many windows fit along one dimension; rounded up, the last may reach over the end."""
    room = size - dilation * (window - 1) - 1
    return (-(-room // stride) if round_up else room // stride) + 1

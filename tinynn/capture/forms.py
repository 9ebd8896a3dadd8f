"""How a recorded call is made again: a bare call on arrays that stay where they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from tinynn.capture.buffers import View
from tinynn.capture.call import COPY, FRESH, IN_PLACE, OUT, TWIN, WHERE, Call, substituted

Action: TypeAlias = "partial[Any]"


def bound(call: Call, arrays: Callable[[View], Any], xp: Any) -> list[Action]:
    """What to call, without arguments, to make a recorded call again.

    Arguments:
        arrays: gives the array that stands for a view.
        xp: the array module.
    """
    arguments = substituted(call.arguments, arrays)
    keywords = {key: substituted(value, arrays) for key, value in call.keywords.items()}
    results = [arrays(view) for view in call.results]
    return _FORMS[call.form](call, arguments, keywords, results, xp)


def allocates(call: Call) -> bool:
    """Whether a call needs memory of its own each time."""
    return call.form == FRESH


def _with_out(
    call: Call, arguments: Any, keywords: Any, results: list[Any], xp: Any
) -> list[Action]:
    (out,), function = results, call.function
    if isinstance(getattr(function, "__self__", None), np.ufunc):  # its method reduce
        order = (
            keywords.get("axis", 0),
            keywords.get("dtype"),
            out,
            keywords.get("keepdims", False),
        )
        return [partial(function, *arguments, *order)]
    return [partial(function, *arguments, out=out, **keywords)]


def _copy(call: Call, arguments: Any, keywords: Any, results: list[Any], xp: Any) -> list[Action]:
    (out,), (source,) = results, arguments
    if not hasattr(source, "dtype") or source.dtype == out.dtype:
        return [partial(xp.copyto, out, source)]
    return [partial(xp.copyto, out, source, "unsafe")]


def _where(call: Call, arguments: Any, keywords: Any, results: list[Any], xp: Any) -> list[Action]:
    (out,), (condition, one, other) = results, arguments
    return [
        partial(xp.copyto, out, other),
        partial(xp.copyto, out, one, where=condition),
    ]


def _in_place(
    call: Call, arguments: Any, keywords: Any, results: list[Any], xp: Any
) -> list[Action]:
    return [partial(call.function, *arguments, **keywords)]


def _twin(call: Call, arguments: Any, keywords: Any, results: list[Any], xp: Any) -> list[Action]:
    twins, work = call.function
    return [twins.bind(work, *arguments)]


def _fresh(call: Call, arguments: Any, keywords: Any, results: list[Any], xp: Any) -> list[Action]:
    return [partial(_fill, results[0], call.function, keywords, *arguments)]


def _fill(
    out: Any, function: Callable[..., Any], keywords: dict[str, Any], *arguments: Any
) -> None:
    out[...] = function(*arguments, **keywords)


_FORMS: dict[str, Callable[..., list[Action]]] = {
    OUT: _with_out,
    COPY: _copy,
    WHERE: _where,
    IN_PLACE: _in_place,
    TWIN: _twin,
    FRESH: _fresh,
}

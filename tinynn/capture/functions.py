"""Functions of an array module that are written down in a form of their own, by name.

Each is called as function(tracer, *arguments, **keywords) in place of the array module's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.capture.call import OUT, WHERE
from tinynn.capture.errors import shape_of_values
from tinynn.capture.traced import TracedArray, unwrapped

if TYPE_CHECKING:
    from tinynn.capture.tracer import Tracer


def _where(tracer: Tracer, condition: Any, *choices: Any) -> Any:
    if not choices:
        raise shape_of_values("where without a choice")
    traced, view = tracer.made(tracer.xp.where(*unwrapped((condition, *choices))))
    arguments = tracer.noted((condition, *choices))
    tracer.add("where", WHERE, tracer.xp.copyto, arguments, [view])
    return traced


def _copyto(
    tracer: Tracer, target: Any, source: Any, casting: str = "same_kind", where: Any = True
) -> None:
    if where is True:
        tracer.setitem(target, ..., source)
    else:
        tracer.write_into(tracer.xp.copyto, (target, source, casting, where), {})


def _asarray(tracer: Tracer, value: Any, dtype: Any = None, **keywords: Any) -> Any:
    if isinstance(value, TracedArray):
        return value if dtype in (None, value.array.dtype) else tracer.copy(value, dtype)
    return tracer.constant_array(tracer.xp.asarray(value, dtype=dtype))


def _ascontiguousarray(tracer: Tracer, value: Any, dtype: Any = None, **keywords: Any) -> Any:
    value = _asarray(tracer, value, dtype)
    return value if value.array.flags.c_contiguous else tracer.copy(value, value.array.dtype, "C")


def _empty(tracer: Tracer, shape: Any, dtype: Any = float, **keywords: Any) -> Any:
    return tracer.empty(tracer.xp.empty(shape, dtype))


def _empty_like(tracer: Tracer, array: Any, dtype: Any = None, **keywords: Any) -> Any:
    return tracer.empty(tracer.xp.empty_like(unwrapped(array), dtype))


def _full(tracer: Tracer, shape: Any, value: Any, dtype: Any = None, **keywords: Any) -> Any:
    return tracer.filled(tracer.xp.full(shape, value, dtype), value)


def _full_like(tracer: Tracer, array: Any, value: Any, dtype: Any = None, **keywords: Any) -> Any:
    return tracer.filled(tracer.xp.full_like(unwrapped(array), value, dtype), value)


def _filled_with(value: int) -> Callable[..., Any]:
    def make(tracer: Tracer, shape: Any, dtype: Any = float, **keywords: Any) -> Any:
        return tracer.filled(tracer.xp.full(shape, value, dtype), value)

    return make


def _filled_like(value: int) -> Callable[..., Any]:
    def make(tracer: Tracer, array: Any, dtype: Any = None, **keywords: Any) -> Any:
        return tracer.filled(tracer.xp.full_like(unwrapped(array), value, dtype), value)

    return make


def _take(tracer: Tracer, array: Any, indices: Any, axis: Any = None) -> Any:
    traced, view = tracer.made(unwrapped(array).take(unwrapped(indices), axis=axis))
    size = array.size if axis is None else array.shape[axis]
    keywords = {"axis": axis}
    if tracer.xp is np:  # which copies to and fro to raise in time; CuPy's wraps around
        tracer.check(_check_indices, (indices, size))
        keywords["mode"] = "wrap"
    function = type(unwrapped(array)).take
    tracer.add("take", OUT, function, tracer.noted((array, indices)), [view], keywords)
    return traced


def _check_indices(indices: Any, size: int) -> None:
    if indices.size and not -size <= indices.min() <= indices.max() < size:
        raise IndexError(
            f"take: indices from {indices.min()} to {indices.max()} are out of range for size "
            f"{size}"
        )


def _constant(name: str) -> Callable[..., Any]:
    def make(tracer: Tracer, *arguments: Any, **keywords: Any) -> Any:
        keywords.pop("like", None)
        return tracer.constant_array(getattr(tracer.xp, name)(*arguments, **keywords))

    return make


SPECIAL: dict[str, Callable[..., Any]] = {
    "where": _where,
    "copyto": _copyto,
    "take": _take,
    "asarray": _asarray,
    "array": _asarray,
    "ascontiguousarray": _ascontiguousarray,
    "empty": _empty,
    "empty_like": _empty_like,
    "full": _full,
    "full_like": _full_like,
    "zeros": _filled_with(0),
    "zeros_like": _filled_like(0),
    "ones": _filled_with(1),
    "ones_like": _filled_like(1),
    **{name: _constant(name) for name in ("arange", "eye", "tri", "linspace")},
}

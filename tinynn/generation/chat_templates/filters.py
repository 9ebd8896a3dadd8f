"""Filters of chat templates: Jinja's that templates use, and Hugging Face's `tojson`, metered."""

from __future__ import annotations

import json
import re
from functools import wraps
from string import Formatter
from typing import TYPE_CHECKING, Any

from jinja2.filters import FILTERS, do_indent, do_round, make_attrgetter
from jinja2.runtime import Context
from jinja2.utils import pass_environment

from tinynn.generation.chat_templates.meter import MAX_BITS, METER, Meter, TemplateRefused, weight

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2 import Environment

# What these give is no larger than what they are given, but for a small factor.
_JINJA_FILTERS = [
    "abs", "attr", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first",
    "float", "groupby", "int", "items", "last", "length", "list", "lower", "map", "max",
    "min", "reject", "rejectattr", "reverse", "safe", "select", "selectattr", "sort",
    "string", "title", "trim", "truncate", "unique", "upper", "wordcount",
]  # fmt: skip


def metered_filters() -> dict[str, Callable[..., Any]]:
    """All filters by name, each of which measures what it is given and what it gives."""
    filters = {name: FILTERS[name] for name in _JINJA_FILTERS} | _OUR_FILTERS
    return {name: _metered(filter) for name, filter in filters.items()}


def _metered(filter: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(filter)
    def metered(*args: Any, **kwargs: Any) -> Any:
        meter = METER.get()
        weight([kwargs, *(arg for arg in args if not isinstance(arg, Context))], meter.size)
        return meter.measured(filter(*args, **kwargs))

    return metered


def _estimate_product(meter: Meter, left: Any, right: Any) -> None:
    for value, times in ((left, right), (right, left)):
        if isinstance(value, (str, bytes, list, tuple)) and isinstance(times, int):
            meter.room(weight(value, meter.size) * times)


def _estimate_power(meter: Meter, left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() * right > MAX_BITS:
        raise TemplateRefused("it computes with numbers that are too large")


def estimate_percents(format: str, values: Any) -> None:
    if re.search(r"%\([^)]*\(", format):
        raise TemplateRefused("it formats with brackets in the name of a value")
    signs = re.findall(r"%(?:\([^)]*\))?[-+ #0]*([0-9]*\*?)(?:\.([0-9]*\*?))?", format)
    widths = [digits for sign in signs for digits in sign]
    if any("*" in digits for digits in widths):
        raise TemplateRefused("it formats a value to a width that another value gives")
    METER.get().put_in(format, widths, len(signs), values)


def estimate_fields(format: str, values: Any) -> None:
    fields = [spec or "" for _, name, spec, _ in Formatter().parse(format) if name is not None]
    if any("{" in spec for spec in fields):
        raise TemplateRefused("it formats a value to a width that another value gives")
    widths = [digits for spec in fields for digits in re.findall(r"[0-9]+", spec)]
    METER.get().put_in(format, widths, len(fields), values)


def _estimate_format(meter: Meter, left: Any, right: Any) -> None:
    if isinstance(left, str):
        estimate_percents(left, right)


ESTIMATES = {"*": _estimate_product, "**": _estimate_power, "%": _estimate_format}


def estimate_replace(text: Any, old: Any = "", new: Any = "", *count: Any) -> None:
    if isinstance(text, str) and isinstance(old, str) and isinstance(new, str):
        METER.get().room(len(text) + (text.count(old) if old else len(text) + 1) * len(new))


def join(values: Any, separator: Any = "") -> str:
    """The texts of values, joined."""
    meter = METER.get()
    items = meter.listed(values)
    weight(items, meter.size)
    texts = [str(item) for item in items]
    meter.room(sum(map(len, texts)) + len(texts) * len(str(separator)))
    return str(separator).join(texts)


@pass_environment
def _join(env: Environment, values: Any, d: Any = "", attribute: Any = None) -> str:
    return join(_attributes(env, values, attribute), d)


@pass_environment
def _sum(env: Environment, values: Any, attribute: Any = None, start: float = 0) -> float:
    numbers = _attributes(env, values, attribute)
    if not all(isinstance(number, (int, float)) for number in [start, *numbers]):
        raise TemplateRefused("it adds up what are no numbers")
    return sum(numbers, start)


def _attributes(env: Environment, values: Any, attribute: Any) -> list[Any]:
    items = METER.get().listed(values)
    return items if attribute is None else list(map(make_attrgetter(env, attribute), items))


def _replace(text: Any, old: Any, new: Any, count: int | None = None) -> str:
    shown, old, new = str(text), str(old), str(new)
    estimate_replace(shown, old, new)
    return shown.replace(old, new, -1 if count is None else count)


def _indent(text: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    unit = len(width) if isinstance(width, str) else width
    METER.get().room((1 + len(str(text).splitlines())) * unit)
    return do_indent(str(text), width, first, blank)


def _format(text: Any, *args: Any, **kwargs: Any) -> str:
    estimate_percents(str(text), [args, kwargs])
    return str(text) % (kwargs or args)


def _round(value: float, precision: int = 0, method: Any = "common") -> float:
    if abs(precision) > 300:
        raise TemplateRefused("it rounds to more places than a number has")
    return do_round(value, precision, method)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # Jinja's own filter escapes signs for HTML.
    if len(indent if isinstance(indent, str) else " " * min(indent or 0, 99)) > 16:
        raise TemplateRefused("tojson indents by at most 16")
    if separators is not None and sum(map(len, separators)) > 16:
        raise TemplateRefused("tojson separates by at most 16 characters")
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


_OUR_FILTERS: dict[str, Callable[..., Any]] = {
    "format": _format,
    "indent": _indent,
    "join": _join,
    "replace": _replace,
    "round": _round,
    "sum": _sum,
    "tojson": _to_json,
}

"""Jinja's sandbox with a meter in it.

The sandbox keeps a template from Python's inside, but lets it use all time and memory: nested
loops, a text doubled forty times, a number formatted to a billion digits. So here whatever can
repeat (blocks of statements, calls, filters) counts a step, whatever can grow (operators, literals,
filters, methods) is measured, and what multiplies is estimated before it is computed. Filters and
methods that no chat template needs are left out.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.runtime import Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace, pass_context

from tinynn.generation.chat_templates.filters import (
    ESTIMATES,
    estimate_fields,
    estimate_replace,
    join,
    metered_filters,
)
from tinynn.generation.chat_templates.meter import MAX_SOURCE, METER, Meter, TemplateRefused, weight

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2.compiler import Frame
    from jinja2.environment import Template
    from jinja2.parser import Parser
    from jinja2.runtime import Context

_METHODS = {
    "capitalize", "casefold", "copy", "count", "endswith", "find", "format", "get", "index",
    "isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower",
    "isnumeric", "isprintable", "isspace", "istitle", "isupper", "items", "join", "keys",
    "lower", "lstrip", "partition", "removeprefix", "removesuffix", "replace", "rfind",
    "rindex", "rpartition", "rsplit", "rstrip", "split", "splitlines", "startswith", "strip",
    "swapcase", "title", "upper", "values",
}  # fmt: skip
_PLAIN = (str, bytes, int, float, complex, list, tuple, dict, set, frozenset, range, type)


def run(source: str, variables: dict[str, Any]) -> str:
    """Renders a template; raises whatever it raises, and TemplateRefused beyond the limits."""
    if len(source) > MAX_SOURCE:
        raise TemplateRefused(f"it has {len(source)} characters, at most {MAX_SOURCE} are read")
    token = METER.set(Meter([source, variables]))
    try:
        return "".join(_compiled(source).generate(variables))
    finally:
        METER.reset(token)


@lru_cache(maxsize=32)
def _compiled(source: str) -> Template:
    return _sandbox().from_string(source)


@cache
def _sandbox() -> Sandbox:
    return Sandbox()


class MeteredCode(CodeGenerator):
    """Python for a template, with calls of the meter in it."""

    def blockvisit(self, body: Any, frame: Frame) -> None:
        # The body of every loop, macro and branch: whatever runs again and again comes by here.
        self.writeline("environment.step()")
        super().blockvisit(body, frame)

    def visit_Output(self, node: nodes.Output, frame: Frame) -> None:
        text = sum(len(part.data) for part in node.nodes if isinstance(part, nodes.TemplateData))
        self.writeline(f"environment.step({text})")
        super().visit_Output(node, frame)

    def visit_For(self, node: nodes.For, frame: Frame) -> None:
        if node.test is not None:  # it can reject each item before the body counts
            count = nodes.Call(nodes.EnvironmentAttribute("step"), [], [], None, None)
            node.test = nodes.And(count, node.test)
        super().visit_For(node, frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.joined((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_List(self, node: nodes.List, frame: Frame) -> None:
        self._measure(super().visit_List, node, frame)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        self._measure(super().visit_Dict, node, frame)

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:
        if node.ctx == "load":
            self._measure(super().visit_Tuple, node, frame)
        else:  # names that are assigned to
            super().visit_Tuple(node, frame)

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:
        if isinstance(node.arg, nodes.Slice):
            self._measure(super().visit_Getitem, node, frame)
        else:
            super().visit_Getitem(node, frame)

    def _measure(self, visit: Callable[[Any, Frame], None], node: nodes.Node, frame: Frame) -> None:
        self.write("environment.measured(")
        visit(node, frame)
        self.write(")")


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of chat templates: what Hugging Face's has, metered."""

    code_generator_class = MeteredCode
    intercepted_binops = frozenset(["+", "*", "**", "%"])

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols", GenerationTag],
            finalize=pass_context(lambda _, value: self.measured(value)),
            optimized=False,  # else constants are computed while a template is compiled, unmetered
        )
        self.filters = metered_filters()
        self.globals.pop("lipsum")
        self.globals |= {
            "dict": lambda *args, **kwargs: dict(*args, **kwargs),
            "namespace": TemplateNamespace,
            "raise_exception": _raise_exception,
            "strftime_now": _strftime_now,
        }

    def step(self, text: int = 0) -> bool:
        return METER.get().step(text)

    def measured(self, value: Any) -> Any:
        return METER.get().measured(value)

    def joined(self, parts: tuple[Any, ...]) -> str:
        return join(parts)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        estimate = ESTIMATES.get(operator)
        if estimate is not None:
            estimate(METER.get(), left, right)
        return self.measured(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        weight([args, kwargs], METER.get().size)
        owner = getattr(__obj, "__self__", None)
        if isinstance(owner, _PLAIN):
            name = __obj.__name__
            if name not in _METHODS:
                raise SecurityError(f"templates may not call {type(owner).__name__}.{name}")
            if name == "join" and args:
                return __self.measured(join(args[0], owner))
            if name == "replace":
                estimate_replace(owner, *args)
        return __self.measured(super().call(__context, __obj, *args, **kwargs))

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        format = super().wrap_str_format(value)
        if format is None:
            return None

        def metered(*args: Any, **kwargs: Any) -> str:
            estimate_fields(value.__self__, [args, kwargs])
            return format(*args, **kwargs)

        return metered

    def unsafe_undefined(self, obj: Any, attribute: str) -> Undefined:
        # Jinja raises only when something is done with it: to reach for it is enough here.
        if attribute.startswith("_"):
            raise SecurityError(f"it reaches for the attribute {attribute}")
        return super().unsafe_undefined(obj, attribute)


class GenerationTag(Extension):
    """`{% generation %}` marks what an assistant says, for training; it writes what it holds."""

    tags = {"generation"}  # noqa: RUF012 (Jinja's own form)

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class TemplateNamespace(Namespace):
    """Jinja's namespace, but for names with an underscore first: they would change what Python and
    Jinja see in it. It is not shown with what is in it, which can be itself many times over."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        # Without names of its own, because each may be one of the template's.
        for name in dict(*args[1:], **kwargs):
            _check_name(name)
        Namespace.__init__(*args, **kwargs)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)

    def __repr__(self) -> str:
        return "<Namespace>"


def _check_name(name: str) -> None:
    if name.startswith("_"):
        raise SecurityError(f"it sets the attribute {name}")


def _raise_exception(message: Any) -> None:
    raise TemplateRefused(f"it refuses the conversation: {message}")


def _strftime_now(format: str) -> str:
    if len(format) > 200:
        raise TemplateRefused("the format of a date has at most 200 characters")
    return datetime.now().strftime(format)

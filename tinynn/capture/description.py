"""A plan for people: as lines of text, and as a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinynn.capture.buffers import CONSTANT, EXTERNAL, INPUT, INTERNAL, LIVE, Buffer, View

if TYPE_CHECKING:
    from tinynn.capture.call import Call
    from tinynn.capture.plan import Plan

WIDTH = 100
_LETTERS = {INTERNAL: "b", EXTERNAL: "p", CONSTANT: "c", INPUT: "x", LIVE: "n"}


def describe(plan: Plan) -> str:
    """A line for each call: what for, function, what it reads, what it writes."""
    names = _names(plan)
    rows = []
    for number, call in enumerate(plan.calls):
        reads = " ".join(_text(view, names) for view in _read(call)) or "-"
        writes = " ".join(_text(view, names) for view in call.results) or "-"
        rows.append((str(number), call.operation, call.name, f"{reads} -> {writes}"))
    widths = [max([len(row[column]) for row in rows] or [0]) for column in range(3)]
    lines = [
        f"{number:>{widths[0]}}  {operation:<{widths[1]}}  {name:<{widths[2]}}  {arrays}"
        for number, operation, name, arrays in rows
    ]
    lines = [line if len(line) <= WIDTH else line[: WIDTH - 3] + "..." for line in lines]
    return "\n".join([*_heading(plan), *lines])


def _heading(plan: Plan) -> list[str]:
    layout = plan.layout
    size, together = _bytes(layout.arena_bytes), _bytes(layout.buffer_bytes)
    made = _bytes(plan.recorded_bytes)
    lines = [
        f"{len(plan.calls)} calls; arena {size} for buffers of {together}; as run first: {made}"
    ]
    if plan.fresh_calls:
        names = sorted({call.name for call in plan.fresh_calls})
        lines.append(f"calls that need new memory each time: {', '.join(names)}")
    lines.append("x argument, p parameter or other memory, b buffer, n number, c constant")
    return lines


def to_dot(plan: Plan) -> str:
    """Calls as boxes, the arrays that go from one to the next as arrows."""
    names = _names(plan)
    lines = ["digraph plan {", "  rankdir=TB;", "  node [shape=box, fontname=Helvetica];"]
    writers: dict[Buffer, str] = {}
    for number, call in enumerate(plan.calls):
        node = f"call{number}"
        lines.append(f'  {node} [label="{call.operation}\\n{call.name}"];')
        for view in dict.fromkeys(call.inputs()):
            source = writers.get(view.buffer)
            if source is None:
                source = names[view.buffer]
                lines.append(f"  {source} [shape=ellipse];")
            if source != node:
                lines.append(f'  {source} -> {node} [label="{_shape(view)}"];')
        for buffer in call.written():
            writers[buffer] = node
    return "\n".join([*dict.fromkeys(lines), "}"])


def _names(plan: Plan) -> dict[Buffer, str]:
    """A short name for each buffer, numbered by kind in order of appearance."""
    names: dict[Buffer, str] = {}
    counts: dict[str, int] = {}
    for call in plan.calls:
        for view in (*call.inputs(), *call.results):
            if view.buffer not in names:
                letter = _LETTERS[view.buffer.kind]
                names[view.buffer] = f"{letter}{counts.get(letter, 0)}"
                counts[letter] = counts.get(letter, 0) + 1
    return names


def _read(call: Call) -> list[View]:
    return [view for view in dict.fromkeys(call.inputs()) if view not in call.results]


def _text(view: View, names: dict[Buffer, str]) -> str:
    return f"{names[view.buffer]}[{_shape(view)}]"


def _shape(view: View) -> str:
    return "x".join(map(str, view.shape)) or "1"


def _bytes(count: int) -> str:
    for unit, size in (("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"

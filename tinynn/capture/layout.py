"""Where a plan's own buffers lie: in one arena, sharing places that are not needed at one time.

A buffer is needed from the first call that touches it to the last. The largest is placed first,
each at the lowest place that is free for as long as it is needed (Pisarchyk and Lee, "Efficient
memory management for deep neural net inference", 2020: greedy by size).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tinynn.capture.buffers import INTERNAL, Buffer, View
from tinynn.capture.call import Call

ALIGNMENT = 64  # bytes: a cache line, and the widest vector


class Layout(NamedTuple):
    """The arena.

    Attributes:
        offsets: where each buffer begins, in bytes.
        arena_bytes: the size of the arena.
        buffer_bytes: the size of all buffers together, each in memory of its own.
    """

    offsets: dict[Buffer, int]
    arena_bytes: int
    buffer_bytes: int


def lay_out(calls: list[Call], kept: Iterable[Buffer]) -> Layout:
    """Places the internal buffers of some calls; those in `kept` are needed to the end."""
    spans = lifetimes(calls, kept)
    owners = _sharing(calls, spans)
    groups: dict[Buffer, list[int]] = {}
    for buffer, (first, last) in spans.items():
        span = groups.setdefault(_owner(owners, buffer), [first, last])
        span[0], span[1] = min(span[0], first), max(span[1], last)
    placed: list[tuple[int, int, int, int]] = []  # offset, end, first, last
    offsets: dict[Buffer, int] = {}
    size = 0
    for buffer, (first, last) in sorted(groups.items(), key=lambda item: -item[0].nbytes):
        needed = -(-buffer.nbytes // ALIGNMENT) * ALIGNMENT
        offset = 0
        for start, end, begins, ends in sorted(placed):
            if begins <= last and first <= ends and start < offset + needed and offset < end:
                offset = end
        offsets[buffer] = offset
        placed.append((offset, offset + needed, first, last))
        size = max(size, offset + needed)
    for buffer in spans:
        offsets[buffer] = offsets[_owner(owners, buffer)]
    return Layout(offsets, size, sum(buffer.nbytes for buffer in spans))


def lifetimes(calls: list[Call], kept: Iterable[Buffer]) -> dict[Buffer, list[int]]:
    """For each internal buffer the first and the last call that touch it."""
    spans: dict[Buffer, list[int]] = {}
    for number, call in enumerate(calls):
        for buffer in call.touched():
            if buffer.kind == INTERNAL:
                spans.setdefault(buffer, [number, number])[1] = number
    for buffer in kept:
        if buffer.kind == INTERNAL:
            spans.setdefault(buffer, [0, 0])[1] = len(calls)
    return spans


def _sharing(calls: list[Call], spans: dict[Buffer, list[int]]) -> dict[Buffer, Buffer]:
    """For results that may take the memory of an argument, the buffer of that argument.

    So it is where each element is computed from those at its place, and nobody needs the argument
    any more.
    """
    owners: dict[Buffer, Buffer] = {}
    for number, call in enumerate(calls):
        if not call.elementwise:
            continue
        (result,) = call.results
        if result.buffer not in spans or spans[result.buffer][0] != number or not result.is_whole:
            continue
        for view in call.inputs():
            if (
                view.buffer in spans
                and spans[view.buffer][1] == number
                and _same_place(view, result)
                and all(other.buffer is not view.buffer or other == view for other in call.inputs())
            ):
                owners[result.buffer] = view.buffer
                break
    return owners


def _same_place(view: View, result: View) -> bool:
    return view.is_whole and (view.shape, view.strides, view.dtype.itemsize) == (
        result.shape,
        result.strides,
        result.dtype.itemsize,
    )


def _owner(owners: dict[Buffer, Buffer], buffer: Buffer) -> Buffer:
    while buffer in owners:
        buffer = owners[buffer]
    return buffer

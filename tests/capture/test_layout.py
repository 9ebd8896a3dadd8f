"""The arena of a plan: what is needed at one time never overlaps, and what a plan drops was dead.

Random lists of calls are laid out and carried out on the arena, and compared with the same calls on
memory of their own.
"""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tinynn.capture.buffers import CONSTANT, EXTERNAL, INTERNAL, Buffer, View
from tinynn.capture.call import COPY, IN_PLACE, OUT, Call
from tinynn.capture.layout import ALIGNMENT, lay_out, lifetimes
from tinynn.capture.passes import simplified

SIZES = (1, 3, 16, 17, 40)


def whole(buffer):
    return View(buffer, 0, (buffer.nbytes // 8,), (8,), np.dtype(np.float64))


def part(buffer, start, size):
    return View(buffer, 8 * start, (size,), (8,), np.dtype(np.float64))


def add_into(target, source):
    target += source


class Program:
    """Calls on buffers: elementwise ones, copies, reversals, sums in place, parts of buffers."""

    def __init__(self):
        self.buffers = []
        self.calls = []
        self.ones = set()

    def buffer(self, size, kind=INTERNAL):
        values = np.random.default_rng(len(self.buffers)).integers(-9, 9, size).astype(np.float64)
        made = Buffer(len(self.buffers), kind, values, 0, 8 * size)
        self.buffers.append(made)
        return made

    def add(self, name, form, function, arguments, result, elementwise=False):
        self.calls.append(Call("", name, form, function, arguments, {}, [result], elementwise))


@st.composite
def programs(draw):
    program = Program()
    for size in SIZES:
        program.buffer(size, EXTERNAL)
    constant = program.buffer(draw(st.sampled_from(SIZES)), CONSTANT)
    filled = program.buffer(constant.nbytes // 8)
    program.add("constant", COPY, None, (whole(constant),), whole(filled))
    one = program.buffer(1)
    scalar = View(one, 0, (), (), np.dtype(np.float64))
    program.add("fill", COPY, None, (1,), scalar)
    program.ones.add(one)
    for _ in range(draw(st.integers(1, 14))):
        source = whole(draw(st.sampled_from([b for b in program.buffers if b is not one])))
        size = source.shape[0]
        same = [b for b in program.buffers if b.nbytes == source.buffer.nbytes and b is not one]
        other = whole(draw(st.sampled_from(same)))
        writable = [b for b in same if b.kind != CONSTANT]
        kind = draw(
            st.sampled_from(["add", "one", "copy", "reverse", "mirror", "in place", "part", "sum"])
        )
        if kind == "add":
            program.add("add", OUT, np.add, (source, other), whole(program.buffer(size)), True)
        elif kind == "one":
            product = whole(program.buffer(size))
            program.add("multiply", OUT, np.multiply, (source, scalar), product, True)
        elif kind == "copy":
            target = draw(st.sampled_from([*writable, None])) or program.buffer(size)
            program.add("copy", COPY, None, (source,), whole(target))
        elif kind == "mirror":
            backwards = source._replace(offset=8 * (size - 1), strides=(-8,))
            result = whole(program.buffer(size))
            program.add("add", OUT, np.add, (source, backwards), result, True)
        elif kind == "reverse":  # reads what is elsewhere than it writes
            backwards = source._replace(offset=8 * (size - 1), strides=(-8,))
            program.add("copy", COPY, None, (backwards,), whole(program.buffer(size)))
        elif kind == "sum":
            program.add("sum", OUT, np.cumsum, (source,), whole(program.buffer(size)))
        elif writable:
            target = draw(st.sampled_from(writable))
            if kind == "in place" and target is not source.buffer:
                program.add("at", IN_PLACE, add_into, (whole(target), source), whole(target))
            elif kind == "part" and target is not source.buffer:
                half = (size + 1) // 2
                program.add(
                    "copy", COPY, None, (part(source.buffer, 0, half),), part(target, 0, half)
                )
    internal = [b for b in program.buffers if b.kind == INTERNAL and b is not one]
    program.kept = set(draw(st.lists(st.sampled_from(internal), max_size=3)))
    return program


def carry_out(calls, memory_of):
    """Makes the calls on the arrays that `memory_of` gives for buffers."""

    def array(view):
        if not isinstance(view, View):
            return view
        return np.ndarray(view.shape, view.dtype, memory_of(view.buffer), view.offset, view.strides)

    for call in calls:
        arguments = [array(argument) for argument in call.arguments]
        if call.form == COPY:
            array(call.results[0])[...] = np.array(arguments[0])
        elif call.form == IN_PLACE:
            call.function(*arguments)
        else:
            call.function(*arguments, out=array(call.results[0]))


def apart(program, calls):
    """What the kept and the external buffers hold, each buffer being memory of its own."""
    memory = {buffer: buffer.array.tobytes() for buffer in program.buffers}
    memory = {buffer: np.frombuffer(bytearray(held), np.uint8) for buffer, held in memory.items()}
    carry_out(calls, memory.get)
    return {b: memory[b].tobytes() for b in program.buffers if b.kind == EXTERNAL} | {
        b: memory[b].tobytes() for b in program.kept
    }


def together(program, calls, layout):
    """The same in an arena that is full of other numbers at first."""
    arena = np.full(layout.arena_bytes, 0xAB, np.uint8)
    memory = {
        buffer: arena[layout.offsets[buffer] :][: buffer.nbytes]
        if buffer in layout.offsets
        else np.frombuffer(bytearray(buffer.array.tobytes()), np.uint8)
        for buffer in program.buffers
    }
    carry_out(calls, memory.get)
    return {b: memory[b].tobytes() for b in program.buffers if b.kind == EXTERNAL} | {
        b: memory[b].tobytes() for b in program.kept
    }


@settings(max_examples=300)
@given(programs())
def test_calls_in_an_arena_compute_the_same(program):
    layout = lay_out(program.calls, program.kept)
    assert together(program, program.calls, layout) == apart(program, program.calls)


@settings(max_examples=300)
@given(programs())
def test_simplified_calls_compute_the_same(program):
    expected = apart(program, program.calls)
    calls = simplified(cloned(program.calls), program.ones, program.kept)
    assert len(calls) <= len(program.calls)
    assert apart(program, calls) == expected
    assert together(program, calls, lay_out(calls, program.kept)) == expected


def cloned(calls):
    return [
        Call(
            c.operation, c.name, c.form, c.function, c.arguments, {}, list(c.results), c.elementwise
        )
        for c in calls
    ]


@settings(max_examples=300)
@given(programs())
def test_buffers_needed_at_one_time_do_not_overlap(program):
    """Two buffers share bytes only if one is not needed any more when the other comes to be, or is
    made, element by element, out of the other."""
    layout = lay_out(program.calls, program.kept)
    spans = lifetimes(program.calls, program.kept)
    assert set(layout.offsets) == set(spans)
    for buffer, offset in layout.offsets.items():
        assert offset % ALIGNMENT == 0
        assert offset + buffer.nbytes <= layout.arena_bytes
        for other, start in layout.offsets.items():
            if other is buffer or not (
                offset < start + other.nbytes and start < offset + buffer.nbytes
            ):
                continue
            (first, last), (begins, _) = sorted([spans[buffer], spans[other]])
            if last == begins:
                call = program.calls[last]
                assert call.elementwise
                assert offset == start
                older = buffer if spans[buffer] == [first, last] else other
                assert {v for v in call.inputs() if v.buffer is older} == {whole(older)}
            else:
                assert last < begins
    assert layout.arena_bytes <= sum(-(-b.nbytes // ALIGNMENT) * ALIGNMENT for b in spans)


def chain(length):
    """A chain of elementwise calls, which needs one place only."""
    program = Program()
    source = whole(program.buffer(40, EXTERNAL))
    for _ in range(length):
        target = whole(program.buffer(40))
        program.add("add", OUT, np.add, (source, source), target, True)
        source = target
    program.kept = {source.buffer}
    return program


@example(1)
@example(10)
@given(st.integers(1, 30))
def test_a_chain_takes_one_place(length):
    program = chain(length)
    layout = lay_out(program.calls, program.kept)
    assert layout.arena_bytes == 320
    assert layout.buffer_bytes == 320 * length
    assert together(program, program.calls, layout) == apart(program, program.calls)

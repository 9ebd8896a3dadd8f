"""A Plan: a recorded step as a plain list of calls, and the memory they work on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.autograd.tensor import Tensor, make_tensor
from tinynn.autograd.version import last_change, tick
from tinynn.backend import recording
from tinynn.capture.buffers import EXTERNAL, INPUT, INTERNAL, Buffer, View
from tinynn.capture.description import describe, to_dot
from tinynn.capture.forms import Action, allocates, bound
from tinynn.capture.layout import Layout, lay_out
from tinynn.capture.outputs import Outputs
from tinynn.capture.passes import simplified

if TYPE_CHECKING:
    from tinynn.autograd.node import Leaf
    from tinynn.capture.call import Call
    from tinynn.capture.recorder import Recorder

# Arguments up to this size are copied, and those that are written to; larger ones are read where
# they are: that takes a new call object for each call that reads them.
COPIED_BYTES = 4096


class Plan:
    """What a compiled function does for arguments of certain shapes: made by `tn.compile`.

    `print(plan.describe())` shows it, a line for each call.

    Attributes:
        calls: the recorded calls.
        layout: the arena: where buffers lie, and how large it is.
        changed_arguments: the positions of the arguments that are written to.
        is_fused: whether operations were joined, so that results differ in rounding.
        replays: how often it was carried out.
        graph: makes the calls as CUDA graphs, on a GPU where neighbours of them can be part of one;
            else None, and the calls are made one by one.
    """

    def __init__(self, recorder: Recorder, outputs: Outputs, gradients: list[Gradient]) -> None:
        self.backend = recorder.backend
        self.host = recorder.host
        self.outputs = outputs
        self.gradients = gradients
        self.versions = list(recorder.versions.values())
        kept = outputs.buffers() | {g.view.buffer for g in gradients if g.view is not None}
        self.calls: list[Call] = simplified(recorder.calls, recorder.ones, kept)
        self.layout: Layout = lay_out(self.calls, kept)
        self.written = {
            buffer
            for call in self.calls
            for buffer in call.written()
            if buffer.kind in (EXTERNAL, INPUT)
        }
        self.is_fused = bool(recorder.fusion)
        self.replays = 0
        self._turn = threading.RLock()
        self.recorded_bytes = sum(b.nbytes for b in recorder.memory.buffers if b.kind == INTERNAL)
        self._bind(recorder)

    # ---- making it

    def _bind(self, recorder: Recorder) -> None:
        """Puts the buffers into the arena and makes the calls on them."""
        arena = self._aligned(self.layout.arena_bytes)
        inputs = [buffer for buffer in recorder.inputs if self._is_used(buffer)]
        copies = {
            buffer: buffer.array
            for buffer in inputs
            if buffer.nbytes <= COPIED_BYTES or buffer in self.written or self.backend.graph_of
        }
        while True:
            array_of = self._arrays(arena, copies)
            uses = self._make_actions(array_of)
            patches = {
                buffer: [self._patch(number, view, array_of(view)) for number, view in uses[buffer]]
                for buffer in inputs
                if buffer not in copies
            }
            fixed = [buffer for buffer, its in patches.items() if None in its]
            if not fixed:
                break
            for buffer in fixed:  # read by a call that cannot be given another array
                copies[buffer] = buffer.array
        self._copies = [(buffer.position, own) for buffer, own in copies.items()]
        self._copies_back = [
            (buffer.position, own) for buffer, own in copies.items() if buffer in self.written
        ]
        self.changed_arguments = [position for position, _ in self._copies_back]
        self._patches = [
            (buffer.position, [patch for patch in its if patch is not None])
            for buffer, its in patches.items()
        ]
        graph_of = self.backend.graph_of
        self.graph = None if graph_of is None else graph_of(self.actions)
        self.outputs.bind(array_of)
        for gradient in self.gradients:
            gradient.bind(array_of)
        for buffer in recorder.memory.buffers:
            if buffer.kind == INTERNAL:
                buffer.array = None  # the recorded run's memory is free again

    def _is_used(self, buffer: Buffer) -> bool:
        return any(buffer in call.touched() for call in self.calls)

    def _arrays(self, arena: Any, copies: dict[Buffer, Any]) -> Callable[[View], Any]:
        """What gives the array of a view: the same one for all that lie in the same place.

        Of a result that takes an argument's place CuPy sees only so that it is the argument; else
        it would copy the argument first, which takes memory.
        """
        made: dict[Any, Any] = {}

        def array_of(view: View) -> Any:
            memory, offset = copies.get(view.buffer, view.buffer.array), view.offset
            if view.buffer.kind == INTERNAL:
                memory, offset = arena, offset + self.layout.offsets[view.buffer]
            shape = view.shape, view.strides, view.dtype
            place = id(memory), offset, *shape
            if place not in made:
                made[place] = self.backend.view_of(memory, offset, *shape)
            return made[place]

        return array_of

    def _make_actions(
        self, array_of: Callable[[View], Any]
    ) -> dict[Buffer, list[tuple[int, View]]]:
        """Makes the calls; returns, for each argument, the actions that read it, and as what."""
        self.actions: list[Action] = []
        self.call_of_action: list[Call] = []
        uses: dict[Buffer, list[tuple[int, View]]] = {}
        for call in self.calls:
            views = list(dict.fromkeys((*call.inputs(), *call.results)))
            for action in bound(call, array_of, self.backend.xp):
                for view in views:
                    if view.buffer.kind == INPUT:
                        uses.setdefault(view.buffer, []).append((len(self.actions), view))
                self.actions.append(action)
                self.call_of_action.append(call)
        return uses

    def _aligned(self, size: int) -> Any:
        xp = self.backend.xp
        memory = xp.empty(size + 64, "uint8")
        start = -self.backend.address_of(memory) % 64
        return memory[start : start + size]

    def _patch(self, number: int, view: View, array: Any) -> Callable[[Any], None] | None:
        """What puts an argument's array into a call; None for a call that can't be changed so."""
        action = self.actions[number]
        places = [place for place, a in enumerate(action.args) if a is array]
        others = [a for a in action.args if a is not array]
        if not places or any(_holds(a, array) for a in (*others, action.keywords)):
            return None
        actions, shaped = self.actions, _reshaper(view, self.backend)

        def patch(argument: Any) -> None:
            present, new = actions[number], shaped(argument)
            arguments = list(present.args)
            for place in places:
                arguments[place] = new
            actions[number] = partial(present.func, *arguments, **present.keywords)

        return patch

    # ---- carrying it out

    def replay(self, arguments: list[Any]) -> Any:
        """Makes the calls on these arrays, and returns what the function returned; in one thread
        at a time, as they all work on one memory."""
        with self._turn:
            return self._replay(arguments)

    def _replay(self, arguments: list[Any]) -> Any:
        copyto = self.backend.xp.copyto
        for position, own in self._copies:
            copyto(own, arguments[position])
        for position, patches in self._patches:
            argument = arguments[position]
            if not argument.flags.c_contiguous:
                argument = argument.copy()
            for patch in patches:
                patch(argument)
        undo = self.host.save_early() if self.host.early else None
        for action in self.host.before:
            action()
        try:
            self.run()
        except BaseException:
            if undo is not None:
                undo()
            raise
        for action in self.host.after:
            action()
        for position, own in self._copies_back:
            copyto(arguments[position], own)
        self.replays += 1
        if self.versions:
            time = last_change.time = tick()
            for version in self.versions:
                version.time = time
        for gradient in self.gradients:
            gradient.put()
        return self.outputs.collect()

    def memory_of_others(self) -> set[Buffer]:
        """The buffers that are not the plan's own: arguments, parameters and the like."""
        touched = set[Buffer]().union(*(call.touched() for call in self.calls))
        return {buffer for buffer in touched if buffer.kind in (EXTERNAL, INPUT)}

    def run(self) -> None:
        """Makes the calls."""
        profiler = recording.current_profiler()
        with np.errstate(all="ignore"):
            if profiler is not None:
                profiler.replay(self.actions, self.call_of_action)
                return
            if self.graph is not None:
                self.graph()
                return
            for action in self.actions:
                action()

    # ---- showing it

    def describe(self) -> str:
        """The plan as text: a line for each call, and the memory it takes."""
        return describe(self)

    def to_dot(self) -> str:
        """The plan as a graph in the language of Graphviz: `dot -Tsvg`."""
        return to_dot(self)

    @property
    def fresh_calls(self) -> list[Call]:
        """The calls that need memory of their own at each replay."""
        return [call for call in self.calls if allocates(call)]

    def __repr__(self) -> str:
        return f"<Plan of {len(self.calls)} calls>"


class Gradient:
    """What a leaf's `.grad` is after the step.

    Arguments:
        leaf: whose it is.
        tensor: the gradient, where it lies in memory that stays; or None.
        view: or where in the plan's memory it is, to be copied from there.
    """

    def __init__(self, leaf: Leaf, tensor: Tensor | None, view: View | None) -> None:
        self.leaf = leaf
        self.tensor = tensor
        self.view = view
        self.array: Any = None

    def bind(self, array_of: Callable[[View], Any]) -> None:
        if self.view is not None:
            self.array = array_of(self.view)

    def put(self) -> None:
        if self.array is None:
            self.leaf.grad = self.tensor
        else:
            self.leaf.grad = make_tensor(self.array.copy(), None, None)


def _holds(value: Any, array: Any) -> bool:
    """Whether an array is found in a value, also within lists, tuples and dicts."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return any(_holds(item, array) for item in value)
    return value is array


def _reshaper(view: View, backend: Any) -> Callable[[Any], Any]:
    """Makes of an argument the view of it that a call takes."""
    shape, strides, dtype = view.shape, view.strides, view.dtype
    array = view.buffer.array
    if (shape, strides) == (array.shape, array.strides) and view.offset == 0:
        return lambda argument: argument
    if (shape, strides) == (array.T.shape, array.T.strides) and view.offset == 0:
        return lambda argument: argument.T
    if view.is_whole:
        return lambda argument: argument.reshape(shape)
    return lambda argument: backend.view_of(argument, view.offset, shape, strides, dtype)

"""The recorder: what is written down of one run of a function.

It knows the run's operations, arguments, tensors and gradients, and what happened besides array
calls; the array calls are the tracer's business.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from tinynn.autograd.node import Leaf, Node
from tinynn.autograd.operation import Operation
from tinynn.autograd.tensor import Tensor, make_tensor, shared_version
from tinynn.backend import recording
from tinynn.backend.devices import BACKENDS, Backend
from tinynn.capture.buffers import INPUT, LIVE, Buffer, View
from tinynn.capture.call import Call
from tinynn.capture.errors import value_read
from tinynn.capture.fusion import Applied, Fusion
from tinynn.capture.host import HostSide
from tinynn.capture.traced import TracedArray
from tinynn.capture.tracer import Tracer


class Recorder(Tracer):
    """What is written down of one run of a function.

    Arguments:
        backend: of the arrays that are watched.

    Attributes:
        inputs: the buffers of the arguments, in order.
        given: the caller's arrays, likewise.
        applied: the operations that were carried out, in order.
        fusion: which of them are carried out otherwise.
        host: what happened besides array calls.
        leaves: of each leaf whose gradient was read or written, the gradient before; ANY if it was
            replaced before anything depended on it.
        tensors: the tensors of others that were read, by id: (tensor, its array, node and hooks).
        versions: of the memory of others that was written.
        watched: the nodes whose gradient was asked for.
        repeats: the operations of a call that was made again for its backward, and those of that
            second run: (number, number).
    """

    records = True  # unlike a profiler, see backend/recording.py

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self.inputs: list[Buffer] = []
        self.given: list[Any] = []
        self.applied: list[Applied] = []
        self.fusion = Fusion()
        self.host = HostSide()
        self.leaves: dict[Leaf, Any] = {}
        self.before: dict[Leaf, Any] = {}
        self.tensors: dict[int, tuple[Tensor, Any, Any, dict[Any, Any]]] = {}
        self.versions: dict[int, Any] = {}
        self.watched: set[Any] = set()
        self.repeats: list[tuple[int, int]] = []
        self._nodes: dict[Node, int] = {}
        self._thread = threading.get_ident()

    def is_here(self) -> bool:
        """Whether it watches this thread."""
        return threading.get_ident() == self._thread

    def begin(self) -> None:
        """Watches from now on."""
        recording.begin(self)

    def end(self) -> None:
        """Watches no longer."""
        self.is_open = False
        recording.end(self)

    # ---- operations

    def run(
        self,
        operation: Operation,
        inputs: Iterable[Any],
        attributes: dict[str, Any],
        run: Callable[..., Tensor],
    ) -> Tensor:
        """Carries out an operation of the engine on traced arrays."""
        # What comes from another device is a constant to the step.
        inputs = list(inputs) if operation.name == "to_device" else self.adopt(inputs)
        number = len(self.applied)
        first = inputs[0] if inputs and isinstance(inputs[0], Tensor) else None
        source = None if first is None else self._place(first)
        node = None if first is None else first.node
        self.applied.append(Applied(operation.name, attributes, source, node, None, None))
        chosen = self.fusion(number, operation, attributes)
        if chosen is None:
            assert first is not None
            return first
        operation, attributes = chosen
        before, self.scope = self.scope, (number, operation.name)
        try:
            result = run(operation, inputs, attributes)
        finally:
            self.scope = before
        self.applied[number] = self.applied[number]._replace(
            result=self._place(result), result_node=result.node
        )
        if isinstance(result.node, Node):
            self._nodes.setdefault(result.node, number)
        return result

    def _place(self, tensor: Tensor) -> View | None:
        return self.view(tensor.data) if isinstance(tensor.data, TracedArray) else None

    def numbers_of(self, nodes: Iterable[Node]) -> list[int]:
        """The numbers of the operations that made some nodes; -1 for none."""
        return [self._nodes.get(node, -1) for node in nodes]

    def computed_again(self, numbers: Iterable[int], nodes: Iterable[Node]) -> None:
        """Says that nodes are those of operations before, made again for their backward."""
        self.repeats += zip(numbers, self.numbers_of(nodes), strict=True)

    def backward(self, node: Node) -> None:
        """Says that the gradients of a node come next."""
        self.scope = (self._nodes.get(node, -1), f"{node.operation.name} backward")

    def backward_done(self, node: Node, arrays: Iterable[Any]) -> None:
        """Says that they have come."""
        self.scope = (-1, "")

    def named(self, name: str) -> None:
        """Says what the next calls are for, outside of operations."""
        self.scope = (-1, name)

    def numbered_calls(self) -> Iterable[tuple[int, Call]]:
        """The calls, each with the number of the operation that it is part of, or -1."""
        return zip(self.call_numbers, self.calls, strict=True)

    # ---- what comes in and goes out

    def input(self, array: Any) -> TracedArray:
        """The next argument of the function: a copy, in memory that nothing else lies in."""
        self.given.append(array)
        array = array.copy()
        buffer = self.memory.add(array, INPUT)
        buffer.position = len(self.inputs)
        self.inputs.append(buffer)
        return self.keep(array)

    def return_inputs(self) -> None:
        """Writes to the caller's arrays what was written to the arguments."""
        for buffer in self.saved:
            if buffer.kind == INPUT:
                self.given[buffer.position][...] = buffer.array

    def output(self, traced: TracedArray) -> tuple[TracedArray, View]:
        """A result: where it lies; an argument is returned as a copy."""
        view = self.view(traced)
        if view.buffer.kind == INPUT:
            traced = self.copy(traced, traced.dtype)
            view = self.view(traced)
        return traced, view

    def adopt(self, inputs: Iterable[Any]) -> list[Any]:
        """The inputs of an operation, with tensors on traced arrays in place of others."""
        return [self.tensor(item) if isinstance(item, Tensor) else item for item in inputs]

    def tensor(self, tensor: Tensor) -> Tensor:
        """A tensor as the recorder sees it: the same node and version, over a traced array."""
        if isinstance(tensor.data, TracedArray):
            self.array(tensor.data)
            return tensor
        self.tensors.setdefault(id(tensor), _as_met(tensor))
        if isinstance(tensor.node, Leaf):
            self.note_gradient(tensor.node)
        return make_tensor(self.array(tensor.data), tensor.node, shared_version(tensor))

    def read(self, tensor: Tensor) -> Any:
        """The array of a tensor as the recorder sees it; one on another device as it is."""
        return self.tensor(tensor).data if self._is_watched(tensor.data) else tensor.data

    def given_numbers(self, array: Any) -> Any:
        """A constant, if it is an array that is watched."""
        is_new = self._is_watched(array) and not isinstance(array, TracedArray)
        return self.constant_array(array) if is_new else array

    def _is_watched(self, array: Any) -> bool:
        return isinstance(array, self.backend.array_type | TracedArray)

    # ---- gradients and versions

    def note_gradient(self, leaf: Leaf) -> None:
        """Says that what a leaf's gradient is before the step matters."""
        self.leaves.setdefault(leaf, leaf.grad)

    def gradient_read(self, tensor: Tensor, leaf: Leaf) -> None:
        """Says that a gradient was asked for; that of a leaf made in the run is none of others."""
        if not isinstance(tensor.data, TracedArray):
            self.note_gradient(leaf)

    def gradient_written(self, leaf: Leaf) -> None:
        """Says that a leaf's gradient is replaced, whatever it was."""
        if leaf not in self.leaves:
            self.leaves[leaf], self.before[leaf] = ANY, leaf.grad

    def bumped(self, version: Any) -> None:
        """Says that memory with this version was changed."""
        self.versions[id(version)] = version

    # ---- besides array calls

    def live(self, read: Callable[[], float], dtype: str) -> TracedArray:
        """A number that changes from call to call, as an array [1]."""
        array = self.xp.zeros(1, dtype)

        def fill() -> None:
            array[0] = read()

        self.host.add(fill, read, reads=True)
        fill()
        self.host.readers[id(array)] = read
        return self._filled_by_host(array)

    def drawn(self, draw: Callable[[], Any]) -> TracedArray:
        """An array that is made anew on the host in each call."""
        with self.suspended():
            array = draw()

        def fill() -> None:
            array[...] = draw()

        self.host.add(fill, draw, reads=True)
        return self._filled_by_host(array)

    def _filled_by_host(self, array: Any) -> TracedArray:
        self.memory.add(array, LIVE)
        return self.keep(array)

    def truth(self, traced: TracedArray) -> bool:
        """`bool(array)`: of a live number a condition of the plan; else an error."""
        read = self.host.readers.get(id(traced.array))
        if read is None:
            raise value_read("bool(array)")
        return bool(self.constant("whether a number is zero", lambda: bool(read())))

    def constant(self, name: str, read: Callable[[], Any]) -> Any:
        """A value that the calls depend on."""
        return self.host.constant(name, read)

    def repeat(self, action: Callable[[], Any], owner: Any) -> Any:
        """Does something on the host, now and in each replay; see HostSide.add."""
        self.host.add(action, owner, reads=False)
        with self.suspended():
            return action()

    def do_once(self, name: str, action: Callable[[], Any]) -> None:
        """Does something that moves arrays: there will be no replay of this run."""
        self.constant(name, object)  # another one each time it is looked at
        for leaf in self.leaves:
            if leaf.grad is not None and isinstance(leaf.grad.data, TracedArray):
                leaf.grad = make_tensor(leaf.grad.data.array, None, None)
        with self.suspended():
            action()

    def backend_like(self, backend: Backend) -> Backend:
        """The recording form of a backend, if its arrays are watched."""
        return BACKENDS[self.traced] if backend is self.backend else backend

    def suspended(self) -> Any:
        """A context in which nothing is written down."""
        return _Suspended(self)


ANY = object()  # in `leaves`: the gradient was replaced before anything depended on it


def _as_met(tensor: Tensor) -> tuple[Tensor, Any, Any, dict[Any, Any]]:
    node = tensor.node
    return tensor, tensor.data, node, {} if node is None else dict(node.hooks or {})


class _Suspended:
    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def __enter__(self) -> None:
        recording.end(self.recorder)

    def __exit__(self, *exception: object) -> None:
        recording.begin(self.recorder)

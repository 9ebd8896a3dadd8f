"""Gradient checkpointing: what the backward of a function needs is computed again, not kept.

Chen et al. (2016), Training Deep Nets with Sublinear Memory Cost (https://arxiv.org/abs/1604.06174).

The function runs as always, and its nodes stay in the graph; only what they saved is taken from
them. The walk that comes to the first of them calls the function again, and finds what is missing
in the nodes of that second run, which have the same places in it. So gradients, hooks, and
gradients of gradients go the way they would go without.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar

from tinynn.autograd.grad_mode import enable_grad, grad_mode
from tinynn.autograd.node import Node
from tinynn.autograd.tensor import Tensor, make_tensor
from tinynn.autograd.version import Version, last_change, tick
from tinynn.backend import recording
from tinynn.backend.devices import device_of
from tinynn.backend.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Result = TypeVar("Result")
    # The nodes of second runs, by their places; each is taken out when it is used.
    SecondRuns = dict["Call", list["Node | None"]]


def checkpoint(
    function: Callable[..., Result], *arguments: Any, use_reentrant: bool = False, **keywords: Any
) -> Result:
    """Calls `function`, and keeps nothing for its backward but the arguments.

    A backward pass calls it again for what it needs. That takes the time of one more forward, and
    saves the memory of all that is computed inside. Results and gradients are the same, bit for
    bit, those of the arguments and of what the function refers to. It is PyTorch's
    `torch.utils.checkpoint.checkpoint` with use_reentrant=False.

    The function must do the same both times, and change no argument. The second time it gets the
    random numbers of the first: dropouts drop the same units, and count no further step. What
    `tn.rand` and its like give inside is kept. Hooks on tensors inside are called once, forward
    hooks of modules in both runs. Without gradients (`tn.no_grad()`) it is only called. Replays of
    a compiled step take less memory, too; but its recording holds all that both runs compute.

    Arguments:
        function: what is called with the arguments and keywords. Its tensors are found in what it
            returns also within tuples, lists and dicts; those elsewhere keep what they need.
        use_reentrant: only False: gradients always go through the graph.

    Raises TypeError for what cannot be called; from backward, RuntimeError if the function does
    something else than before, or if an argument or a tensor that it reads was changed in between.

    >>> import tinynn as tn
    >>> block = tn.nn.Sequential(tn.nn.Linear(4, 64), tn.nn.GELU(), tn.nn.Linear(64, 4))
    >>> x = tn.ones(8, 4, requires_grad=True)
    >>> checkpoint(block, x).sum().backward()
    >>> gradient, x.grad = x.grad, None
    >>> block(x).sum().backward()
    >>> bool((gradient == x.grad).all())
    True
    """
    if not callable(function):
        raise TypeError(f"checkpoint: expected a function, got {type(function).__name__}")
    if use_reentrant:
        raise ValueError("checkpoint: use_reentrant must be False; gradients go through the graph")
    if not grad_mode.enabled:
        return function(*arguments, **keywords)
    call = Call(function, arguments, keywords)
    with call.journal.noting():
        result = function(*arguments, **keywords)
    call.check_arguments()
    call.drop_saved(nodes_behind(result, call.begun))
    return result


class Call:
    """A call of a function that can be made again.

    Attributes:
        begun: the clock at its beginning.
        spans: when a change of what it reads makes it another: (after, up to) on the clock, for a
            call within a second run that of the first; it ends when the call is made again.
        length: how many nodes it made.
    """

    def __init__(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> None:
        self.function, self.arguments, self.keywords = function, arguments, keywords
        self.recorder = recording.current()
        self.journal = Journal(self.recorder)
        self.spans = _second_run.spans
        self.begun = tick()
        self.length = 0

    def drop_saved(self, nodes: list[Node]) -> None:
        """Takes from the nodes of the call what they saved."""
        self.length = len(nodes)
        if self.recorder is not None:
            self.numbers = self.recorder.numbers_of(nodes)
        for place, node in enumerate(nodes):
            signature = node.saved.signature if type(node.saved) is Dropped else _signature(node)
            node.saved = Dropped(self, place, signature)
            node.sources, node.inputs, node.attributes = (), None, {}

    def repeat(self) -> list[Node | None]:
        """Makes the call again; the nodes of it."""
        self.check_arguments()
        spans = (*self.spans, (self.begun, tick()))
        begun, outer = tick(), _second_run.spans
        _second_run.spans = spans
        try:
            with enable_grad(), self.journal.again():
                result = self.function(*self.arguments, **self.keywords)
        finally:
            _second_run.spans = outer
        nodes = nodes_behind(result, begun)
        if len(nodes) != self.length:
            raise RuntimeError(
                f"checkpoint: computed again, {_named(self.function)} makes {len(nodes)} "
                f"operations, before it made {self.length}; it must do the same both times"
            )
        if self.recorder is not None:
            self.recorder.computed_again(self.numbers, nodes)
        for node in nodes:
            for item in (*node.sources, *(node.inputs or ())):
                if isinstance(item, Tensor) and _is_changed(item, spans):
                    raise RuntimeError(
                        f"checkpoint: a tensor that operation {node.operation.name} of "
                        f"{_named(self.function)} reads was changed in place after the forward "
                        "pass; change it after backward"
                    )
        return [*nodes]

    def check_arguments(self) -> None:
        """RuntimeError if an argument was changed in place since the call began."""
        spans = (*self.spans, (self.begun, last_change.time))
        for tensor in tensors_in((self.arguments, self.keywords)):
            if _is_changed(tensor, spans):
                raise RuntimeError(
                    f"checkpoint: an argument of {_named(self.function)}, of shape {tensor.shape}, "
                    "was changed in place since the call began, so that the call cannot be made "
                    "again; change a copy (x = x + ...), or change it after backward"
                )


class Dropped:
    """In the place of what a node saved: the call to be made again, and where the node is in it."""

    __slots__ = ("call", "place", "signature")

    def __init__(self, call: Call, place: int, signature: Any) -> None:
        self.call, self.place, self.signature = call, place, signature


class _SecondRun(threading.local):
    spans: tuple[tuple[int, int], ...] = ()


_second_run = _SecondRun()


def computed_again(node: Node, runs: SecondRuns) -> Node:
    """The node of a second run that is in the place of one whose saved values were dropped.

    What it saved leads back into the graph of the first run.

    Arguments:
        runs: the second runs of the walk so far.
    """
    again, dropped = node, node.saved
    while type(dropped) is Dropped:  # more than once for a call within a call
        call = dropped.call
        if call not in runs:
            runs[call] = call.repeat()
        found, runs[call][dropped.place] = runs[call][dropped.place], None
        assert found is not None
        again, dropped = found, found.saved
    expected, signature = node.saved.signature, _signature(again)  # type: ignore[union-attr]
    if signature != expected:
        raise RuntimeError(
            f"checkpoint: computed again, operation {_described(*signature)}, before it was "
            f"{_described(*expected)}; the function must do the same both times"
        )
    _lead_back(again, node)
    return again


def _lead_back(again: Node, node: Node) -> None:
    """Puts the nodes of the first run behind the tensors that a node of the second one saved."""
    firsts = dict(zip(again.parents, node.parents, strict=True))

    def led_back(item: Any) -> Any:
        if not isinstance(item, Tensor) or item.node is None:
            return item
        return make_tensor(item.data, firsts.get(item.node, item.node), item._version)

    assert isinstance(again.saved, tuple)
    again.sources = tuple(
        make_tensor(value, node, source) if isinstance(source, Version) else led_back(source)
        for value, source in zip(again.saved, again.sources, strict=False)
    )
    if again.inputs is not None:
        again.inputs = tuple(map(led_back, again.inputs))


def nodes_behind(result: Any, begun: int) -> list[Node]:
    """The nodes behind the tensors of a result that were made since, in order."""
    found: set[Node] = set()
    stack: list[Any] = [tensor.node for tensor in tensors_in(result)]
    while stack:
        node = stack.pop()
        if isinstance(node, Node) and node.order > begun and node not in found:
            if node.saved is not None:  # else a backward inside the function has used it up
                found.add(node)
            stack.extend(node.parents)
    return sorted(found, key=lambda node: node.order)


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors of a value, also within tuples, lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from tensors_in(item)


def _is_changed(tensor: Tensor, spans: tuple[tuple[int, int], ...]) -> bool:
    version = tensor._version
    return version is not None and any(after < version.time <= end for after, end in spans)


def _signature(node: Node) -> tuple[str, tuple[Any, ...]]:
    """What a node must have in common with that of a second run: its operation, and the shapes,
    dtypes and devices of the arrays that it saved."""
    assert isinstance(node.saved, tuple)
    arrays = (value for value in node.saved if hasattr(value, "strides"))
    return node.operation.name, tuple(
        (tuple(array.shape), str(array.dtype), str(device_of(array))) for array in arrays
    )


def _described(operation: str, arrays: tuple[Any, ...]) -> str:
    text = ", ".join(f"{shape} {dtype} on {device}" for shape, dtype, device in arrays)
    return f"{operation} on {text}" if text else operation


def _named(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)

"""Which operations of a step can be one: a linear layer and the activation behind it.

Whether nobody else reads what goes in between is known only when the whole step has been run. So
the pairs are found in one recorded run, and made one operation in another, from the same state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tinynn.autograd.operation import OPERATIONS
from tinynn.capture.errors import CaptureError

if TYPE_CHECKING:
    from tinynn.autograd.operation import Operation
    from tinynn.capture.buffers import Buffer, View
    from tinynn.capture.recorder import Recorder

# The activation's operation -> (its name in linear_activation, its parameter), by its attributes.
_ACTIVATIONS: dict[str, Any] = {
    "relu": lambda attributes: ("relu", 0.0),
    "leaky_relu": lambda attributes: ("leaky_relu", attributes["negative_slope"]),
    "elu": lambda attributes: ("elu", attributes["alpha"]),
    "sigmoid": lambda attributes: ("sigmoid", 0.0),
    "tanh": lambda attributes: ("tanh", 0.0),
    "silu": lambda attributes: ("silu", 0.0),
    "gelu": lambda attributes: (
        "gelu_tanh" if attributes["approximate"] == "tanh" else "gelu",
        0.0,
    ),
}


class Applied(NamedTuple):
    """One operation of the recorded run."""

    name: str
    attributes: dict[str, Any]
    source: View | None
    """Where the first argument lies."""
    source_node: Any
    result: View | None
    result_node: Any


class Fusion:
    """What is to be done otherwise in the next run.

    Attributes:
        joined: the number of a linear operation -> the attributes of the joint one.
        dropped: the numbers of the activations that are then done already.
    """

    def __init__(self) -> None:
        self.joined: dict[int, dict[str, Any]] = {}
        self.dropped: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self.joined)

    def __call__(
        self, number: int, operation: Operation, attributes: dict[str, Any]
    ) -> tuple[Operation, dict[str, Any]] | None:
        """The operation to carry out at a number; None where it is done already."""
        if number in self.dropped and operation.name in _ACTIVATIONS:
            return None
        if number in self.dropped or (number in self.joined and operation.name != "linear"):
            raise CaptureError(
                "compile: the function does something else when it is called again; what it does "
                "may depend on its arguments and on variables, attributes and modules it refers to"
            )
        if number in self.joined:
            return OPERATIONS["linear_activation"], self.joined[number]
        return operation, attributes


def find_pairs(recorder: Recorder, kept: set[Buffer]) -> Fusion:
    """The linear operations of a recorded run that can be joined with their activations.

    Arguments:
        kept: the buffers that are returned.
    """
    pairs: dict[int, int] = {}
    makers = {one.result: number for number, one in enumerate(recorder.applied)}
    readers: dict[int, set[int]] = {}
    for number, call in recorder.numbered_calls():
        for buffer in call.touched():
            readers.setdefault(id(buffer), set()).add(number)
    for number, one in enumerate(recorder.applied):
        if one.name not in _ACTIVATIONS or one.source is None:
            continue
        maker = makers.get(one.source)
        if maker is None or recorder.applied[maker].name != "linear":
            continue
        _, parameter = _ACTIVATIONS[one.name](one.attributes)
        buffer = one.source.buffer
        if (
            readers[id(buffer)] <= {maker, number}
            and buffer not in kept
            and parameter >= 0
            and _passes_gradient_on(recorder, recorder.applied[maker].result_node, one)
        ):
            pairs[maker] = number
    _keep_alike(pairs, recorder.repeats)
    fusion = Fusion()
    for maker, number in pairs.items():
        one = recorder.applied[number]
        activation, parameter = _ACTIVATIONS[one.name](one.attributes)
        fusion.joined[maker] = {"activation": activation, "parameter": parameter}
        fusion.dropped.add(number)
    return fusion


def _keep_alike(pairs: dict[int, int], repeats: list[tuple[int, int]]) -> None:
    """Leaves out pairs that are not joined in both runs of what is computed again in backward."""
    while unlike := {
        number for both in repeats if len(pairs.keys() & both) == 1 for number in both
    }:
        for number in unlike & pairs.keys():
            del pairs[number]


def _passes_gradient_on(recorder: Recorder, node: Any, activation: Applied) -> bool:
    """Whether the gradient of an activation goes on to the node of what it was given, if there is
    one, and nobody else sees it there."""
    given = activation.source_node
    if node is None or given is None:
        return node is given
    return (
        given is node
        and activation.result_node is not None
        and node.hooks is None
        and node not in recorder.watched
    )

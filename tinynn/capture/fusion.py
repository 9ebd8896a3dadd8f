"""Which operations of a step can be one: a linear layer and the activation behind it.

Whether nobody else reads what goes in between is known only when the whole step has been run. So
the pairs are found in one recorded run, and made one operation in another, from the same state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tinynn.autograd.operation import OPERATIONS

if TYPE_CHECKING:
    from tinynn.autograd.operation import Operation
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

    operation: Operation
    inputs: list[Any]
    attributes: dict[str, Any]
    result: Any


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
        if number in self.dropped:
            return None
        if number in self.joined:
            return OPERATIONS["linear_activation"], self.joined[number]
        return operation, attributes


def find_pairs(recorder: Recorder) -> Fusion:
    """The linear operations of a recorded run that can be joined with their activations."""
    fusion = Fusion()
    makers = {id(one.result.data): number for number, one in enumerate(recorder.applied)}
    readers: dict[int, set[int]] = {}
    for number, call in recorder.numbered_calls():
        for buffer in call.touched():
            readers.setdefault(id(buffer), set()).add(number)
    for number, one in enumerate(recorder.applied):
        if one.operation.name not in _ACTIVATIONS:
            continue
        source = one.inputs[0]
        maker = makers.get(id(source.data))
        if maker is None or recorder.applied[maker].operation.name != "linear":
            continue
        activation, parameter = _ACTIVATIONS[one.operation.name](one.attributes)
        buffer = recorder.view(source.data).buffer
        is_hooked = source.node is not None and source.node.hooks is not None
        if readers[id(buffer)] <= {maker, number} and parameter >= 0 and not is_hooked:
            fusion.joined[maker] = {"activation": activation, "parameter": parameter}
            fusion.dropped.add(number)
    return fusion

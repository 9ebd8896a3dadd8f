"""FlatParameters: parameters side by side in one buffer, their gradients in another.

A network's parameters are many small arrays, and a step over them is many small steps. Laid out in
one buffer they are updated, clipped and sent to other ranks in one pass. Each parameter's `data`
becomes a view of the buffer, and a backward pass writes its gradient straight into the other one.

Two things follow: whoever keeps a gradient longer than a step clones it, for the next backward pass
writes to the same memory; and a gradient put into `p.grad` by hand is copied at the next step.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tinynn.autograd import Tensor
from tinynn.autograd.node import Leaf
from tinynn.backend.devices import array_module, device_of
from tinynn.backend.recording import plain, seen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Place:
    """Where one parameter lies in flat memory.

    Attributes:
        buffers: (values, gradients), the two 1-d arrays.
        start, stop: the parameter's elements in both.
        data, grad: its views of both, in its own shape.
    """

    __slots__ = ("buffers", "data", "grad", "start", "stop")

    def __init__(self, buffers: tuple[Any, Any], start: int, shape: tuple[int, ...]) -> None:
        values, gradients = self.buffers = buffers
        self.start = start
        self.stop = start + math.prod(shape)
        self.data = values[start : self.stop].reshape(shape)
        self.grad = gradients[start : self.stop].reshape(shape)

    def holds(self, parameter: Tensor) -> bool:
        """Whether the parameter's memory is this one."""
        return parameter.data is self.data

    def fits(self, parameter: Tensor) -> bool:
        """Whether the parameter has the place's shape, dtype and device."""
        there, here = parameter.data, self.data
        return (
            there.shape == here.shape
            and there.dtype == here.dtype
            and device_of(there) == device_of(here)
        )

    def take(self, parameter: Tensor) -> None:
        """Moves a parameter's values here."""
        self.data[...] = parameter.data
        parameter.data = self.data
        if hasattr(parameter, "place"):
            parameter.place = self

    def settle(self, parameter: Tensor) -> None:
        """Makes a parameter whose values are here collect its gradient here, too."""
        leaf = parameter.node
        if type(leaf) is not Leaf:
            return
        leaf.slot = self.grad
        if leaf.grad is not None and plain(leaf.grad.data) is not self.grad:
            seen(self.grad)[...] = leaf.grad.data
            leaf.grad = Tensor(self.grad)

    def follows(self, other: Place) -> bool:
        """Whether it begins where another place of the same buffers ends."""
        return self.buffers[0] is other.buffers[0] and self.start == other.stop


class FlatParameters:
    """Parameters of one dtype and device, laid out in flat memory.

    Parameters that lie side by side already, in this order, stay where they are: so an optimizer
    that follows another one shares its memory.

    Attributes:
        parameters: the tensors, each once.
        places: where each of them lies.
        data, grad: the 1-d arrays of all values and of all gradients.

    >>> import tinynn as tn
    >>> layer = tn.nn.Linear(3, 2)
    >>> flat = FlatParameters(list(layer.parameters()))
    >>> flat.data[:] = 0
    >>> layer.weight.tolist(), layer.bias.tolist()
    ([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], [0.0, 0.0])
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = list(parameters)
        self.places = _places_in_a_row(self.parameters) or _lay_out(self.parameters)
        for parameter, place in zip(self.parameters, self.places, strict=True):
            place.settle(parameter)
        first, last = self.places[0], self.places[-1]
        self.data, self.grad = (buffer[first.start : last.stop] for buffer in first.buffers)
        self.origin = first.start

    def gather(self) -> bool:
        """Brings values and gradients that are elsewhere to their places: where another array was
        put into `p.data` or `p.grad`, or another optimizer took the parameter.

        False, and no more is done, where a parameter has another shape, dtype or device by now.
        """
        for parameter, place in zip(self.parameters, self.places, strict=True):
            if parameter.data is not place.data:
                if not place.fits(parameter):
                    return False
                place.take(parameter)
            place.settle(parameter)
        return True


def group_by_memory(parameters: Iterable[Tensor]) -> list[list[Tensor]]:
    """The parameters by dtype and device, in their order."""
    groups: dict[Any, list[Tensor]] = {}
    for parameter in parameters:
        groups.setdefault((parameter.dtype, parameter.device), []).append(parameter)
    return list(groups.values())


def gradient_runs(parameters: Iterable[Tensor]) -> Iterator[Any]:
    """The gradients of parameters, to be read and written in place: those that lie side by side in
    flat memory as one 1-d array, others as they are.

    Parameters without a gradient are left out.
    """
    run: list[Place] = []
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is None:
            continue
        place = getattr(parameter, "place", None)
        if place is None or plain(gradient.data) is not place.grad:
            yield seen(gradient.data)
            continue
        if run and not place.follows(run[-1]):
            yield _span(run)
            run = []
        run.append(place)
    if run:
        yield _span(run)


def _span(run: list[Place]) -> Any:
    return seen(run[0].buffers[1][run[0].start : run[-1].stop])


def _places_in_a_row(parameters: Sequence[Tensor]) -> list[Place] | None:
    """The places of the parameters if they lie side by side in this order, else None."""
    places: list[Place] = []
    for parameter in parameters:
        place = getattr(parameter, "place", None)
        if place is None or not place.holds(parameter):
            return None
        if places and not place.follows(places[-1]):
            return None
        places.append(place)
    return places


def _lay_out(parameters: Sequence[Tensor]) -> list[Place]:
    """Moves the parameters into buffers of their own."""
    first = parameters[0].data
    size = sum(int(parameter.data.size) for parameter in parameters)
    xp = array_module(first)
    buffers = (xp.empty(size, first.dtype), xp.zeros(size, first.dtype))
    places = []
    start = 0
    for parameter in parameters:
        place = Place(buffers, start, parameter.data.shape)
        place.take(parameter)
        places.append(place)
        start = place.stop
    return places

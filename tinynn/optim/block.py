"""Block: the parameters of one flat buffer, with what an optimizer remembers of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynn.autograd import Tensor
from tinynn.backend import recording
from tinynn.backend.devices import array_module, device_of, transfer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tinynn.optim.flat_parameters import FlatParameters


class Run:
    """Adjacent parameters with a gradient, of one group, updated equally often: one kernel call.

    Attributes:
        first, last: positions in the block, `last` being included.
        group: the parameter group with its options.
        steps: how many updates these parameters have had.
    """

    __slots__ = ("first", "group", "last", "steps")

    def __init__(self, first: int, group: dict[str, Any], steps: int) -> None:
        self.first = self.last = first
        self.group = group
        self.steps = steps


class Block:
    """The parameters of one flat buffer, and for each element what the optimizer remembers of it.

    Attributes:
        flat: where the parameters and their gradients lie.
        groups: each parameter's group.
        steps: how many updates each parameter has had.
        memory: by name, such as "exp_avg", an array as long as the flat buffer.
    """

    def __init__(self, flat: FlatParameters, groups: list[dict[str, Any]]) -> None:
        self.flat = flat
        self.groups = groups
        self.steps = [0] * len(groups)
        self.memory: dict[str, Any] = {}

    def runs(self) -> Iterator[Run]:
        """What is to be updated, in as few runs as possible; parameters without a gradient are
        left out, as they are in PyTorch."""
        run: Run | None = None
        for position, parameter in enumerate(self.flat.parameters):
            if parameter.grad is None:
                continue
            group, steps = self.groups[position], self.steps[position]
            if (
                run is not None
                and run.last == position - 1
                and run.group is group
                and run.steps == steps
            ):
                run.last = position
                continue
            if run is not None:
                yield run
            run = Run(position, group, steps)
        if run is not None:
            yield run

    def are_updated_equally(self, run: Run) -> bool:
        """Whether all parameters of a run have had as many updates as its first."""
        steps = self.steps[run.first : run.last + 1]
        return steps.count(steps[0]) == len(steps)

    @recording.repeated
    def count(self, run: Run, each: bool) -> None:
        """Counts an update of a run: each of them, or only whether there was one."""
        for position in range(run.first, run.last + 1):
            self.steps[position] = self.steps[position] + 1 if each else 1

    def saved_for_replay(self) -> Callable[[], None]:
        """What puts back the counts as they are now."""
        steps = list(self.steps)

        def restore() -> None:
            self.steps[:] = steps

        return restore

    def extent(self, first: int, last: int) -> slice:
        """The elements, in the flat arrays, of the parameters from `first` to `last`."""
        places, origin = self.flat.places, self.flat.origin
        return slice(places[first].start - origin, places[last].stop - origin)

    def remember(self, name: str) -> Any:
        """The array of that name, of zeros at first."""
        if name not in self.memory:
            self.memory[name] = array_module(self.flat.data).zeros_like(self.flat.data)
        return self.memory[name]

    def view(self, name: str, position: int) -> Any:
        """What is remembered under a name of the parameter at a position, in its shape."""
        shape = self.flat.places[position].data.shape
        return self.remember(name)[self.extent(position, position)].reshape(shape)

    def state(self, position: int) -> dict[str, Tensor]:
        """All that is remembered of the parameter at a position, by name, sharing memory."""
        return {name: Tensor(self.view(name, position)) for name in self.memory}

    def restore(self, position: int, state: dict[str, Any], steps: int) -> None:
        """Copies back what `state` gave, to this block's device and dtype."""
        self.steps[position] = steps
        for name, value in state.items():
            array = value.data if isinstance(value, Tensor) else value
            view = self.view(name, position)
            view[...] = transfer(array, device_of(view)).astype(view.dtype, copy=False)

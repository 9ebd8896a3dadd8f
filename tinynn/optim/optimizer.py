"""Optimizer: what SGD and AdamW have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tinynn.autograd import Tensor, enable_grad
from tinynn.backend import recording
from tinynn.optim.block import Block, Run
from tinynn.optim.flat_parameters import FlatParameters, group_by_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Parameters = Iterable[Tensor] | Iterable[dict[str, Any]]


class Optimizer:
    """The base of optimizers: parameter groups, their options, and what is remembered of them.

    The parameters that require grad are laid out in flat memory (see `FlatParameters`), and a
    step is one call of a kernel over all of it, or over each run of parameters that have a gradient
    and the same options. What was frozen and later gets a gradient, or was moved to another dtype
    or device, is laid out anew at the next step.

    Arguments:
        params: tensors, or dicts with a list of tensors under "params" and options of their own.
        defaults: the options that a group does not give.

    Attributes:
        param_groups: a dict for each group; its options may be changed at any time.

    A subclass says in `remembered` which arrays it needs beside the parameters, and in `update`
    what happens to a run of elements.
    """

    memory_names: ClassVar[tuple[str, ...]]  # of all arrays that there may be
    counts_steps: ClassVar[bool]  # whether an update depends on how many there were
    scheduled: ClassVar[tuple[str, ...]] = ("lr",)  # options that may change from step to step

    def __init__(self, params: Parameters, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                f"{self._name}: params must be an iterable of tensors or dicts, got a tensor; "
                "put it into a list"
            )
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self._blocks: list[Block] = []
        self._left_out: list[Tensor] = []
        groups: list[Any] = list(params)
        if not groups:
            raise ValueError(f"{self._name}: the list of parameters is empty")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self._add_group(group)
        self._lay_out()

    # ---- for subclasses

    def check_options(self, group: Mapping[str, Any]) -> None:
        """ValueError for an option that makes no sense."""

    def remembered(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        """The names of the arrays that an update with these options reads and writes."""
        raise NotImplementedError

    def update(
        self,
        group: Mapping[str, Any],
        parameters: Any,
        gradients: Any,
        memory: list[Any],
        steps: int,
    ) -> None:
        """Updates a run of elements: 1-d arrays of one length, written in place.

        Arguments:
            group: the options.
            parameters, gradients: what to change, and by what.
            memory: the arrays that `remembered` names, zero at first.
            steps: how many updates these elements have had before.
        """
        raise NotImplementedError

    # ---- for users

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates every parameter that has a gradient.

        Arguments:
            closure: computes the loss again, gradients included; its result is returned.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        self._gather()
        recorder = recording.current()
        if recorder is not None:
            self._tell(recorder)
        for block in self._blocks:
            for run in block.runs():
                self._update_run(block, run)
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets all gradients, or with `set_to_none=False` writes zeros into them."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none:
                    parameter.grad = None
                elif parameter.grad is not None:
                    parameter.grad = parameter.grad.detach()
                    parameter.grad.zero_()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds parameters, with options of their own: layers that are trained only later, say.

        Raises TypeError for what is not a tensor, ValueError for one that was computed, for one
        that the optimizer has already, and for options that make no sense.
        """
        self._add_group(param_group)
        self._lay_out()

    @property
    def flat_parameters(self) -> list[FlatParameters]:
        """The memory of what is trained, one for each dtype and device."""
        return [block.flat for block in self._blocks]

    @property
    def state(self) -> dict[Tensor, dict[str, Any]]:
        """What is remembered of each parameter that was updated, by name; "step" is a number, the
        others are tensors that share the optimizer's memory."""
        return {
            parameter: ({"step": block.steps[position]} if self.counts_steps else {})
            | block.state(position)
            for block in self._blocks
            for position, parameter in enumerate(block.flat.parameters)
            if block.steps[position]
        }

    def state_dict(self) -> dict[str, Any]:
        """{"state": {index: {name: tensor or number}}, "param_groups": [options and indices]}.

        Parameters are numbered through the groups. The tensors share the optimizer's memory.
        """
        numbers = {parameter: number for number, parameter in enumerate(self._parameters())}
        return {
            "state": {numbers[parameter]: state for parameter, state in self.state.items()},
            "param_groups": [
                group | {"params": [numbers[parameter] for parameter in group["params"]]}
                for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave, also after it went through JSON and a file of arrays.

        Everything is checked before anything is changed: ValueError for other groups, shapes or
        names than this optimizer has.
        """
        states = self._checked_state(state_dict)
        for group, loaded in zip(self.param_groups, state_dict["param_groups"], strict=True):
            for name, value in loaded.items():
                if name != "params":
                    group[name] = tuple(value) if isinstance(value, list) else value
        self._blocks = []
        self._lay_out(states)

    def __repr__(self) -> str:
        lines = [f"{self._name} ("]
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])

    # ---- inside

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def _add_group(self, param_group: dict[str, Any]) -> None:
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise TypeError(
                f"{self._name}: a parameter group is a dict with tensors under 'params', got "
                f"{type(param_group).__name__}"
            )
        params = param_group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        known = set(self._parameters())
        for parameter in params:
            self._check_parameter(parameter, known)
            known.add(parameter)
        group = {"params": params}
        group |= self.defaults | {k: v for k, v in param_group.items() if k != "params"}
        self.check_options(group)
        self.param_groups.append(group)

    def _check_parameter(self, parameter: Any, known: set[Tensor]) -> None:
        if not isinstance(parameter, Tensor):
            raise TypeError(
                f"{self._name}: can optimize tensors only, got {type(parameter).__name__}"
            )
        if not parameter.is_leaf:
            raise ValueError(
                f"{self._name}: cannot optimize a tensor of shape {parameter.shape} that was "
                "computed; optimize what it was computed from, or .detach() it"
            )
        if parameter in known:
            raise ValueError(
                f"{self._name}: a parameter of shape {parameter.shape} is given twice; each "
                "belongs to one group, once"
            )

    def _update_run(self, block: Block, run: Run) -> None:
        """Updates adjacent parameters, and counts it."""
        elements = block.extent(run.first, run.last)
        names = self.remembered(run.group)
        group, steps = run.group, run.steps
        if recording.current() is not None:  # what changes from step to step is read anew in each
            group = group | {name: _live(run.group, name) for name in self.scheduled}
            if names:
                steps = recording.live(lambda: block.steps[run.first])
                recording.constant(
                    f"which parameters {self._name} has updated equally often",
                    lambda: block.are_updated_equally(run),
                )
        recording.timed(f"{self._name}.step", self.update)(
            group,
            recording.seen(block.flat.data[elements]),
            recording.seen(block.flat.grad[elements]),
            [recording.seen(block.remember(name)[elements]) for name in names],
            steps,
        )
        for position in range(run.first, run.last + 1):
            block.flat.parameters[position].bump_version()
        if names:
            block.count(run, self.counts_steps)

    def _tell(self, recorder: Any) -> None:
        """Says what the calls of a step depend on besides the gradients."""
        recorder.named(f"{self._name}.step")
        recorder.constant(f"the memory of {self._name}", lambda: tuple(self._blocks))
        for number, group in enumerate(self.param_groups):
            recorder.constant(
                f"what {self._name} remembers of group {number}",
                lambda group=group: self.remembered(group),
            )
            changing = ("params", "initial_lr", *self.scheduled)
            names = [name for name in group if name not in changing]
            recorder.constant(
                f"an option of group {number} of {self._name}",
                lambda group=group, names=names: tuple([group[name] for name in names]),
            )
        for parameter in self._parameters():
            if parameter.requires_grad:
                recorder.note_gradient(parameter.node)

    def saved_for_replay(self) -> Callable[[], None]:
        """What puts back the options as they are now."""
        options = [dict(group) for group in self.param_groups]

        def restore() -> None:
            for group, before in zip(self.param_groups, options, strict=True):
                group.update(before)

        return restore

    def _gather(self) -> None:
        """Brings all that is to be updated into flat memory."""
        if any(parameter.grad is not None for parameter in self._left_out) or not all(
            block.flat.gather() for block in self._blocks
        ):
            recorder = recording.current()
            if recorder is None:
                self._lay_out()
            else:
                recorder.do_once(f"the memory of {self._name}", self._lay_out)

    def _lay_out(self, states: dict[Tensor, dict[str, Any]] | None = None) -> None:
        """Lays the parameters out, and puts what is remembered of them beside."""
        states = self.state if states is None else states
        groups = {p: group for group in self.param_groups for p in group["params"]}
        trained = [p for p in groups if p.requires_grad or p in states]
        self._left_out = [p for p in groups if not (p.requires_grad or p in states)]
        self._blocks = [
            Block(FlatParameters(members), [groups[p] for p in members])
            for members in group_by_memory(trained)
        ]
        for block in self._blocks:
            for position, parameter in enumerate(block.flat.parameters):
                if parameter in states:
                    state = dict(states[parameter])
                    steps = int(state.pop("step", 1))
                    block.restore(position, state, steps)

    def _checked_state(self, state_dict: Mapping[str, Any]) -> dict[Tensor, dict[str, Any]]:
        """The state of each parameter in a state dict; ValueError where it does not fit."""
        if not {"state", "param_groups"} <= set(state_dict):
            raise ValueError(
                f"{self._name}.load_state_dict: expected the keys state and param_groups, got "
                f"{', '.join(map(str, state_dict)) or 'none'}"
            )
        groups = state_dict["param_groups"]
        loaded = [len(group["params"]) for group in groups]
        present = [len(group["params"]) for group in self.param_groups]
        if loaded != present:
            raise ValueError(
                f"{self._name}.load_state_dict: the state has groups of {loaded} parameters, this "
                f"optimizer of {present}"
            )
        numbers = [(int(number), group) for group in groups for number in group["params"]]
        owners = {
            number: (parameter, self.defaults | group)
            for (number, group), parameter in zip(numbers, self._parameters(), strict=True)
        }
        states = {}
        for number, state in state_dict["state"].items():
            if int(number) not in owners:
                raise ValueError(f"{self._name}.load_state_dict: there is no parameter {number}")
            parameter, group = owners[int(number)]
            state = {name: value for name, value in state.items() if value is not None}
            if state:
                self._check_state(f"parameter {number}", state, parameter.shape, group)
                states[parameter] = state
        return states

    def _check_state(
        self, owner: str, state: dict[str, Any], shape: tuple[int, ...], group: dict[str, Any]
    ) -> None:
        step = ("step",) if self.counts_steps else ()
        needed, known = {*self.remembered(group), *step}, {*self.memory_names, *step}
        if not needed <= set(state) <= known:
            raise ValueError(
                f"{self._name}.load_state_dict: the state of {owner} has "
                f"{', '.join(sorted(state))}; expected {', '.join(sorted(needed))}"
            )
        for name in set(state) - {"step"}:
            if tuple(state[name].shape) != shape:
                raise ValueError(
                    f"{self._name}.load_state_dict: {name} of {owner} is "
                    f"{tuple(state[name].shape)}, expected {shape}"
                )


def _live(group: dict[str, Any], name: str) -> Any:
    """An option as a recorder sees it: a number, or each of a tuple, that is read in each step."""
    if isinstance(group[name], tuple):
        return tuple(_live_element(group, name, place) for place in range(len(group[name])))
    return recording.live(lambda: group[name])


def _live_element(group: dict[str, Any], name: str, place: int) -> Any:
    return recording.live(lambda: group[name][place])


def check_not_negative(optimizer: str, group: Mapping[str, Any], *names: str) -> None:
    """ValueError that names an option below zero, or NaN."""
    for name in names:
        if not group[name] >= 0:
            raise ValueError(f"{optimizer}: {name} must be zero or positive, got {group[name]}")

"""LRScheduler: what all schedules have in common."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, ClassVar

from tinynn.backend import recording
from tinynn.optim.optimizer import Optimizer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class LRScheduler:
    """The base of schedules.

    Arguments:
        optimizer: whose groups' "lr" is set. The rates that it has now are the base rates; they are
            also put into its groups, as "initial_lr", for schedulers that come after.
        last_epoch: the number of steps taken before; -1 begins anew.

    Attributes:
        base_lrs: the base rate of each group.
        last_epoch: the number of steps taken since the beginning.

    A subclass computes in `get_lr` the rates at `last_epoch`.
    """

    not_saved: ClassVar[tuple[str, ...]] = ("optimizer",)

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}: optimizer must be an Optimizer, got "
                f"{type(optimizer).__name__}"
            )
        for number, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"{type(self).__name__}: last_epoch={last_epoch} goes on with an earlier "
                    f"schedule, but group {number} has no 'initial_lr'; load the optimizer's state "
                    "first"
                )
        self.optimizer = optimizer
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._last_lr: list[float] = []
        self.begin()

    def begin(self) -> None:
        """Sets the rates of the beginning; part of the constructor."""
        LRScheduler.step(self)

    def restart(self) -> None:
        """Goes back to the base rates and to the beginning."""
        self.last_epoch = -1
        self._set(self.base_lrs)
        self.begin()

    def get_lr(self) -> list[float]:
        """The rate of each group at `last_epoch`."""
        raise NotImplementedError

    @recording.repeated
    def step(self) -> None:
        """Goes on by one epoch, or step, and sets the rates; comes after the optimizer's step."""
        self.last_epoch += 1
        self._set(self.get_lr())

    def get_last_lr(self) -> list[float]:
        """The rate of each group that was set last."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and functions, as numbers, strings and lists of them."""
        return {name: value for name, value in vars(self).items() if name not in self.not_saved}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave, and sets the rates that held then.

        Raises ValueError for a state of another kind of scheduler or number of groups.
        """
        present = set(vars(self)) - set(self.not_saved)
        if not set(state_dict) <= present or "last_epoch" not in state_dict:
            raise ValueError(
                f"{type(self).__name__}.load_state_dict: the state has {', '.join(state_dict)}; "
                f"expected {', '.join(sorted(present))}"
            )
        if len(state_dict.get("_last_lr", self._last_lr)) != len(self._last_lr):
            raise ValueError(
                f"{type(self).__name__}.load_state_dict: the state is for "
                f"{len(state_dict['_last_lr'])} parameter groups, the optimizer has "
                f"{len(self._last_lr)}"
            )
        vars(self).update(state_dict)
        self._set(self._last_lr)

    def saved_for_replay(self) -> Callable[[], None]:
        """What puts back the schedule and the rates as they are now."""
        state, put_back = deepcopy(self.state_dict()), self.optimizer.saved_for_replay()

        def restore() -> None:
            self.load_state_dict(state)
            put_back()

        return restore

    def _set(self, rates: Sequence[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = list(rates)

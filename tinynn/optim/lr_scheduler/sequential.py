"""SequentialLR: one schedule after another."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from tinynn.backend import recording
from tinynn.optim.lr_scheduler.base import LRScheduler
from tinynn.optim.lr_scheduler.plateau import ReduceLROnPlateau

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tinynn.optim.optimizer import Optimizer


class SequentialLR(LRScheduler):
    """The schedules in turn, each beginning anew, from the base rates, at its milestone.

    Arguments:
        schedulers: of the same optimizer.
        milestones: the epoch at which the second begins, the third, ...; increasing.

    >>> import tinynn as tn
    >>> optimizer = tn.optim.SGD(tn.nn.Linear(1, 1).parameters(), lr=1.0)
    >>> warmup = tn.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> decay = tn.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler = SequentialLR(optimizer, [warmup, decay], milestones=[2])
    >>> rates = []
    >>> for epoch in range(5):
    ...     rates += scheduler.get_last_lr()
    ...     scheduler.step()
    >>> rates
    [0.5, 0.75, 1.0, 0.5, 0.25]
    """

    not_saved = ("optimizer", "schedulers")

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        if not schedulers:
            raise ValueError("SequentialLR: expected at least one scheduler")
        for number, scheduler in enumerate(schedulers):
            if isinstance(scheduler, ReduceLROnPlateau):
                raise TypeError(
                    "SequentialLR: ReduceLROnPlateau needs a metric and cannot be one of several"
                )
            if scheduler.optimizer is not optimizer:
                raise ValueError(f"SequentialLR: scheduler {number} belongs to another optimizer")
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR: {len(schedulers)} schedulers need {len(schedulers) - 1} "
                f"milestones, got {len(milestones)}"
            )
        if list(milestones) != sorted(set(milestones)):
            raise ValueError(f"SequentialLR: milestones must increase, got {list(milestones)}")
        self.schedulers = list(schedulers)
        self.milestones = list(milestones)
        super().__init__(optimizer, last_epoch)

    def begin(self) -> None:
        """The first schedule's beginning, undoing what the others did to the rates."""
        self.last_epoch += 1
        self.schedulers[0].restart()
        self._last_lr = self.schedulers[0].get_last_lr()

    @recording.repeated
    def step(self) -> None:
        """Goes on by one epoch in the schedule whose turn it is."""
        self.last_epoch += 1
        turn = bisect_right(self.milestones, self.last_epoch)
        scheduler = self.schedulers[turn]
        if turn and self.milestones[turn - 1] == self.last_epoch:
            scheduler.restart()
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """The state with those of the schedules, in order, under "schedulers"."""
        states = [scheduler.state_dict() for scheduler in self.schedulers]
        return super().state_dict() | {"schedulers": states}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave."""
        states = state_dict["schedulers"]
        if len(states) != len(self.schedulers):
            raise ValueError(
                f"SequentialLR.load_state_dict: the state has {len(states)} schedules, expected "
                f"{len(self.schedulers)}"
            )
        for scheduler, state in zip(self.schedulers, states, strict=True):
            scheduler.load_state_dict(state)
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "schedulers"})

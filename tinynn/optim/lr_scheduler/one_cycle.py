"""OneCycleLR: up to a large learning rate and down to a tiny one, once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tinynn.optim.lr_scheduler.base import LRScheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tinynn.optim.optimizer import Optimizer


def anneal_cosine(start: float, end: float, share: float) -> float:
    """From start to end along half a cosine."""
    cosine = math.cos(math.pi * share)
    return start * (1 + cosine) / 2 + end * (1 - cosine) / 2


def anneal_linear(start: float, end: float, share: float) -> float:
    """From start to end along a line."""
    return start + (end - start) * share


ANNEAL: dict[str, Callable[[float, float, float], float]] = {
    "cos": anneal_cosine,
    "linear": anneal_linear,
}


class OneCycleLR(LRScheduler):
    """The 1cycle policy of Smith and Topin (2018); `step()` comes after every batch.

    The rate goes from max_lr / div_factor up to max_lr, and down to max_lr / div_factor /
    final_div_factor; the momentum goes the other way.

    Arguments:
        max_lr: the highest rate, or one for each group.
        total_steps: the number of steps in the cycle; or give `epochs` and `steps_per_epoch`.
        pct_start: the share of the steps in which the rate goes up.
        anneal_strategy: "cos" or "linear".
        cycle_momentum: whether "momentum" (SGD) or the first of "betas" (AdamW) is set, too.
        base_momentum, max_momentum: its bounds, or one of each for each group.
        div_factor, final_div_factor: see above.
        three_phase: first up, then as far down, and only then to the last tiny rate.

    Raises ValueError for options out of range, and from a step beyond the cycle.

    >>> import tinynn as tn
    >>> optimizer = tn.optim.SGD(tn.nn.Linear(1, 1).parameters(), lr=0.1)
    >>> scheduler = OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    >>> scheduler.get_last_lr(), optimizer.param_groups[0]["momentum"]
    ([0.04], 0.95)
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: give total_steps, or epochs and steps_per_epoch")
            total_steps = epochs * steps_per_epoch
        if total_steps < 1:
            raise ValueError(f"OneCycleLR: expected at least one step, got {total_steps}")
        if not 0 <= pct_start <= 1:
            raise ValueError(f"OneCycleLR: pct_start must be in [0, 1], got {pct_start}")
        if anneal_strategy not in ANNEAL:
            raise ValueError(
                f"OneCycleLR: anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}"
            )
        self.total_steps = total_steps
        self.anneal_strategy = anneal_strategy
        self.cycle_momentum = cycle_momentum
        groups = optimizer.param_groups
        if cycle_momentum and not all("momentum" in g or "betas" in g for g in groups):
            raise ValueError("OneCycleLR: the optimizer has no momentum; pass cycle_momentum=False")
        max_lrs = _each("max_lr", max_lr, groups)
        low, high = (
            _each("base_momentum", base_momentum, groups),
            _each("max_momentum", max_momentum, groups),
        )
        if last_epoch == -1:
            for group, rate in zip(groups, max_lrs, strict=True):
                group["initial_lr"] = rate / div_factor
        last_step = total_steps - 1
        # Where each phase ends, and what it goes to: the rate as a share of max_lr, and whether
        # the momentum is low.
        start, end = 1 / div_factor, 1 / div_factor / final_div_factor
        self.phases: list[tuple[float, float, bool]] = [
            (pct_start * total_steps - 1, 1.0, True),
            (last_step, end, False),
        ]
        if three_phase:
            self.phases.insert(1, (2 * pct_start * total_steps - 2, start, False))
        self.start_share = start
        self.max_lrs = max_lrs
        self.momenta = [list(pair) for pair in zip(high, low, strict=True)]
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates; sets the momenta, too, which belong to the same moment."""
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"OneCycleLR: step {self.last_epoch} is beyond the cycle of {self.total_steps} "
                "steps; make total_steps the number of batches of the whole training"
            )
        anneal = ANNEAL[self.anneal_strategy]
        share, before, after = self._phase()
        if self.cycle_momentum:
            for group, momenta in zip(self.optimizer.param_groups, self.momenta, strict=True):
                _set_momentum(group, anneal(momenta[before[1]], momenta[after[1]], share))
        return [anneal(rate * before[0], rate * after[0], share) for rate in self.max_lrs]

    def _phase(self) -> tuple[float, Any, Any]:
        """(how much of the present phase is over, (share of max_lr, momentum) before and after)."""
        began: float = 0.0
        before: tuple[float, bool] = (self.start_share, False)
        for number, (ends, share, low) in enumerate(self.phases):
            after = (share, low)
            if self.last_epoch <= ends or number == len(self.phases) - 1:
                length = ends - began
                over = (self.last_epoch - began) / length if length else 1.0
                return min(over, 1.0), before, after
            began, before = ends, after
        raise AssertionError("the last phase has no end")


def _set_momentum(group: dict[str, Any], momentum: float) -> None:
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum


def _each(name: str, value: float | Sequence[float], groups: list[Any]) -> list[float]:
    values = [value] * len(groups) if isinstance(value, (int, float)) else list(value)
    if len(values) != len(groups):
        raise ValueError(
            f"OneCycleLR: expected one {name} for each of {len(groups)} parameter groups, got "
            f"{len(values)}"
        )
    return values

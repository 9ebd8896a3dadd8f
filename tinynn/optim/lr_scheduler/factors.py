"""Schedules that are a formula: the learning rate is the base rate times a factor."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import TYPE_CHECKING

from tinynn.optim.lr_scheduler.base import LRScheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tinynn.optim.optimizer import Optimizer


class FactorScheduler(LRScheduler):
    """lr(t) = floor + (base_lr - floor) * factor(t).

    A step multiplies the present rate by factor(t) / factor(t - 1). So schedules on one optimizer
    combine, and a rate that was changed by hand stays changed.
    """

    def factor(self, epoch: int) -> float:
        """The factor at an epoch, 0 being the beginning."""
        raise NotImplementedError

    def floor(self) -> float:
        """The rate that a factor of zero stands for."""
        return 0.0

    def get_lr(self) -> list[float]:
        floor, after = self.floor(), self.factor(self.last_epoch)
        before = self.factor(self.last_epoch - 1) if self.last_epoch > 0 else 1.0
        rates = [group["lr"] for group in self.optimizer.param_groups]
        if after == before:
            return rates
        if before == 0:  # nothing is left of the rate before
            return [floor + (base - floor) * after for base in self.base_lrs]
        return [floor + (rate - floor) * (after / before) for rate in rates]


class StepLR(FactorScheduler):
    """lr = base_lr * gamma^(t // step_size).

    >>> import tinynn as tn
    >>> optimizer = tn.optim.SGD(tn.nn.Linear(1, 1).parameters(), lr=1.0)
    >>> scheduler = StepLR(optimizer, step_size=2, gamma=0.5)
    >>> rates = []
    >>> for epoch in range(5):
    ...     rates += scheduler.get_last_lr()
    ...     scheduler.step()
    >>> rates
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        if step_size < 1:
            raise ValueError(f"StepLR: step_size must be at least 1, got {step_size}")
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        return float(self.gamma ** (epoch // self.step_size))


class MultiStepLR(FactorScheduler):
    """lr = base_lr * gamma^(the number of milestones that t has reached)."""

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        self.milestones = sorted(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        return float(self.gamma ** bisect_right(self.milestones, epoch))


class ExponentialLR(FactorScheduler):
    """lr = base_lr * gamma^t."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        return float(self.gamma**epoch)


class CosineAnnealingLR(FactorScheduler):
    """lr = eta_min + (base_lr - eta_min) * (1 + cos(pi * t / T_max)) / 2.

    Loshchilov and Hutter (2017), without the restarts: after T_max the rate goes up again, as in
    PyTorch.
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        if T_max <= 0:
            raise ValueError(f"CosineAnnealingLR: T_max must be positive, got {T_max}")
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        return (1 + math.cos(math.pi * epoch / self.T_max)) / 2

    def floor(self) -> float:
        return self.eta_min


class LinearLR(FactorScheduler):
    """lr = base_lr * a factor that goes from start_factor to end_factor in total_iters steps."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1:
            raise ValueError(f"LinearLR: start_factor must be in (0, 1], got {start_factor}")
        if not 0 <= end_factor <= 1:
            raise ValueError(f"LinearLR: end_factor must be in [0, 1], got {end_factor}")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        done = min(epoch, self.total_iters) / self.total_iters if self.total_iters else 1.0
        return self.start_factor + (self.end_factor - self.start_factor) * done


class ConstantLR(FactorScheduler):
    """lr = base_lr * factor for total_iters steps, then base_lr."""

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 <= factor <= 1:
            raise ValueError(f"ConstantLR: factor must be in [0, 1], got {factor}")
        self.constant = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        return self.constant if epoch < self.total_iters else 1.0


class LambdaLR(LRScheduler):
    """lr = base_lr * lr_lambda(t).

    Arguments:
        lr_lambda: a function of the epoch, or one for each group; not saved in `state_dict`.
    """

    not_saved = ("optimizer", "lr_lambdas")

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        groups = len(optimizer.param_groups)
        self.lr_lambdas = [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != groups:
            raise ValueError(
                f"LambdaLR: expected a function for each of {groups} parameter groups, got "
                f"{len(self.lr_lambdas)}"
            )
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return [
            base * function(self.last_epoch)
            for base, function in zip(self.base_lrs, self.lr_lambdas, strict=True)
        ]

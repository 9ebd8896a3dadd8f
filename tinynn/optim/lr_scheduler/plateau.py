"""ReduceLROnPlateau: a smaller learning rate when a metric stops getting better."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tinynn.backend import recording
from tinynn.optim.lr_scheduler.base import LRScheduler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinynn.optim.optimizer import Optimizer


class ReduceLROnPlateau(LRScheduler):
    """Multiplies the rate by `factor` after more than `patience` epochs without an improvement.

    Arguments:
        mode: "min" where a lower metric is better, "max" where a higher one is.
        factor: what the rate is multiplied by, below 1.
        patience: how many epochs without an improvement are forgiven.
        threshold: how much an improvement must be ...
        threshold_mode: ... as a share of the best's absolute value ("rel"), or in itself ("abs").
        cooldown: how many epochs after a reduction are not looked at.
        min_lr: the rate never goes below it; or one for each group.
        eps: smaller reductions are not made.

    >>> import tinynn as tn
    >>> optimizer = tn.optim.SGD(tn.nn.Linear(1, 1).parameters(), lr=1.0)
    >>> scheduler = ReduceLROnPlateau(optimizer, patience=1)
    >>> for loss in (2.0, 1.0, 1.0, 1.0):
    ...     scheduler.step(loss)
    >>> scheduler.get_last_lr()
    [0.1]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if not factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor must be below 1, got {factor}")
        if mode not in ("min", "max"):
            raise ValueError(f"ReduceLROnPlateau: mode must be 'min' or 'max', got {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(
                f"ReduceLROnPlateau: threshold_mode must be 'rel' or 'abs', got {threshold_mode!r}"
            )
        groups = len(optimizer.param_groups)
        self.min_lrs = [min_lr] * groups if isinstance(min_lr, (int, float)) else list(min_lr)
        if len(self.min_lrs) != groups:
            raise ValueError(
                f"ReduceLROnPlateau: expected one min_lr for each of {groups} parameter groups, "
                f"got {len(self.min_lrs)}"
            )
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.eps = eps
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        super().__init__(optimizer)

    def begin(self) -> None:
        """The rates stay as they are."""
        self.last_epoch = 0
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    @recording.repeated
    def step(self, metrics: float) -> None:  # type: ignore[override]
        """Takes the metric of an epoch, a number or a 0-d tensor, and may reduce the rates."""
        metric = float(metrics)
        self.last_epoch += 1
        if self.is_better(metric):
            self.best = metric
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._set(self.get_lr())
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def is_better(self, metric: float) -> bool:
        """Whether a metric improves on the best by more than the threshold; NaN never does."""
        margin = self.threshold
        if self.threshold_mode == "rel":
            margin *= abs(self.best) if math.isfinite(self.best) else 0.0
        return metric < self.best - margin if self.mode == "min" else metric > self.best + margin

    def get_lr(self) -> list[float]:
        """The reduced rates."""
        rates = []
        for group, lowest in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
            reduced = max(group["lr"] * self.factor, lowest)
            rates.append(reduced if group["lr"] - reduced > self.eps else group["lr"])
        return rates

"""The best epoch so far, which early stopping waits for and restoring goes back to."""

from __future__ import annotations

from typing import Any

__all__ = ["BestEpoch"]


class BestEpoch:
    """Follows one value over epochs and remembers the best.

    >>> best = BestEpoch("validation_accuracy", higher_is_better=True)
    >>> best.update(0.8, epoch=1, step=10), best.update(0.9, epoch=2, step=20)
    (True, True)
    >>> best.update(0.9, epoch=3, step=30)
    False
    >>> best.epoch, best.value, best.epochs_since(4)
    (2, 0.9, 2)
    """

    def __init__(self, name: str, higher_is_better: bool) -> None:
        self.name = name
        self.higher_is_better = higher_is_better
        self.value: float | None = None
        self.epoch = 0
        self.step = 0

    def update(self, value: float, epoch: int, step: int) -> bool:
        """Takes the value of an epoch; True if it is better than all before."""
        if self.value is not None:
            gain = value - self.value if self.higher_is_better else self.value - value
            if gain <= 0:
                return False
        self.value, self.epoch, self.step = value, epoch, step
        return True

    def epochs_since(self, epoch: int) -> int:
        """How many epochs have passed, at the end of `epoch`, without a better value."""
        return epoch - self.epoch

    def state_dict(self) -> dict[str, Any]:
        return {"name": self.name, "value": self.value, "epoch": self.epoch, "step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.value, self.epoch, self.step = state["value"], state["epoch"], state["step"]

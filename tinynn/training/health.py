"""Signs that training goes wrong, with hints: a loss that is not finite, one that oscillates."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

__all__ = ["OSCILLATION_HINT", "TrainingDiverged", "TrainingWarning", "oscillates"]

# Judged over this many epochs, so that a single bad epoch does not raise the alarm ...
WINDOW = 6
# ... by this many rises, with falls between them ...
RISES = 2
# ... each of at least this share of the greatest loss an epoch has had, so that the small ups and
# downs of a loss near its floor do not count, however large they are in proportion.
SHARE = 0.05

OSCILLATION_HINT = (
    "the {part} loss jumps up and down: lower the learning rate, or raise the batch size"
)


class TrainingDiverged(RuntimeError):
    """A loss or a parameter became NaN or infinite; checkpoints, if any, are from before that.

    Attributes:
        name, value: what is not finite, and what it is.
        epoch, step: when, both from 1; the step is the batch in the epoch.
        learning_rate: of that step.
    """

    def __init__(
        self, name: str, value: float, epoch: int, step: int, learning_rate: float
    ) -> None:
        self.name, self.value = name, value
        self.epoch, self.step, self.learning_rate = epoch, step, learning_rate
        super().__init__(
            f"{name} is {value} at epoch {epoch} step {step}, learning rate {learning_rate:.6g}: "
            "lower the learning rate, or clip the gradients (clip_norm)"
        )


class TrainingWarning(UserWarning):
    """Training goes on, but something should be looked at; the message holds a hint."""


def oscillates(losses: Sequence[float]) -> bool:
    """Whether a loss, one value per epoch, oscillates instead of falling.

    It does when, in the last 6 epochs, it rose at least twice with a fall between, each of these
    changes at least 5% of the greatest loss so far. Training and validation loss are judged alike;
    where the first is an average over a bumpy epoch, the second shows the bumps.

    >>> oscillates([2.0, 0.9, 1.4, 0.8, 1.5, 0.9])
    True
    >>> oscillates([2.0, 0.9, 0.5, 0.31, 0.33, 0.29])
    False
    """
    least = SHARE * max(losses, default=0.0)
    recent = losses[-WINDOW:]
    rises, may_rise = 0, True
    for before, after in pairwise(recent):
        if after - before >= least and may_rise:
            rises, may_rise = rises + 1, False
        elif before - after >= least:
            may_rise = True
    return rises >= RISES

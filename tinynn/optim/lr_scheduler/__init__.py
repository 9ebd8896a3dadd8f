"""Learning-rate schedules: what the learning rate is at each epoch, or at each step.

Every scheduler sets the learning rates of its optimizer when it is made and at each `step()`.
"""

from tinynn.optim.lr_scheduler.base import LRScheduler
from tinynn.optim.lr_scheduler.factors import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    StepLR,
)
from tinynn.optim.lr_scheduler.one_cycle import OneCycleLR
from tinynn.optim.lr_scheduler.plateau import ReduceLROnPlateau
from tinynn.optim.lr_scheduler.sequential import SequentialLR

__all__ = [
    "ConstantLR",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]

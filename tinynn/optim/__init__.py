"""Optimizers, learning-rate schedules, gradient clipping, and the learning-rate range test."""

from tinynn.optim import lr_scheduler
from tinynn.optim.adamw import AdamW
from tinynn.optim.clip import clip_grad_norm_, clip_grad_value_
from tinynn.optim.flat_parameters import FlatParameters
from tinynn.optim.lr_finder import lr_range_test
from tinynn.optim.optimizer import Optimizer
from tinynn.optim.sgd import SGD

__all__ = [
    "SGD",
    "AdamW",
    "FlatParameters",
    "Optimizer",
    "clip_grad_norm_",
    "clip_grad_value_",
    "lr_range_test",
    "lr_scheduler",
]

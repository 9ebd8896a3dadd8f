"""The tape: tensors that remember how they were computed, and the walk back over them."""

from tinynn.autograd.checkpointing import checkpoint
from tinynn.autograd.grad_mode import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from tinynn.autograd.gradients import backward, grad
from tinynn.autograd.tensor import Tensor

__all__ = [
    "Tensor",
    "backward",
    "checkpoint",
    "enable_grad",
    "grad",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
]

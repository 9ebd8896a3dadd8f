"""Gradient clipping, under the names that PyTorch users look for."""

from tinynn.optim.clip import clip_grad_norm_, clip_grad_value_

__all__ = ["clip_grad_norm_", "clip_grad_value_"]

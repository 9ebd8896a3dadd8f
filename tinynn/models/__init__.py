"""Models, ready to be trained or run."""

from tinynn.models.cnn import CNN
from tinynn.models.mlp import MLP

__all__ = ["CNN", "MLP"]

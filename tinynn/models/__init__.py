"""Models, ready to be trained or run."""

from tinynn.models.mlp import MLP

__all__ = ["MLP"]

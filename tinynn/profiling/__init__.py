"""Profiling: the time that each operation takes, as a table and as a trace."""

from tinynn.profiling.block import Profile, profile
from tinynn.profiling.events import Row

__all__ = ["Profile", "Row", "profile"]

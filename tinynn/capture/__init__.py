"""Capture: a step recorded once as a plan, and replayed."""

from tinynn.capture.compiled import Compiled, compile
from tinynn.capture.errors import CaptureError, CaptureWarning
from tinynn.capture.plan import Plan

__all__ = ["CaptureError", "CaptureWarning", "Compiled", "Plan", "compile"]

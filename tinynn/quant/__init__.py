"""Quantized weights: matrices of few bits that multiply without being expanded."""

from tinynn.quant.matrices import HalfMatrix, QuantizedMatrix
from tinynn.quant.rounding import from_gguf, quantize
from tinynn.quant.stacking import stack

__all__ = ["HalfMatrix", "QuantizedMatrix", "from_gguf", "quantize", "stack"]

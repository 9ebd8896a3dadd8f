"""Quantized weights: matrices of few bits that multiply without being expanded."""

from tinynn.quant.matrices import HalfMatrix, QuantizedMatrix
from tinynn.quant.rounding import from_gguf, quantize

__all__ = ["HalfMatrix", "QuantizedMatrix", "from_gguf", "quantize"]

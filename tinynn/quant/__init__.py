"""Quantized weights: matrices of few bits that multiply without being expanded."""

from tinynn.quant.layers import QuantizedEmbedding, QuantizedLinear
from tinynn.quant.matrices import HalfMatrix, QuantizedMatrix
from tinynn.quant.memory import gather
from tinynn.quant.models import FORMATS, STORED, place_matrices, quantize
from tinynn.quant.rounding import from_gguf
from tinynn.quant.stacking import stack

__all__ = [
    "FORMATS",
    "STORED",
    "HalfMatrix",
    "QuantizedEmbedding",
    "QuantizedLinear",
    "QuantizedMatrix",
    "from_gguf",
    "gather",
    "place_matrices",
    "quantize",
    "stack",
]

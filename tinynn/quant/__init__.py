"""Quantized weights: matrices of few bits that multiply without being expanded."""

from tinynn.quant.layers import QuantizedEmbedding, QuantizedLinear
from tinynn.quant.matrices import HalfMatrix, QuantizedMatrix
from tinynn.quant.memory import gather
from tinynn.quant.models import FORMATS, STORED, place_matrices, quantize
from tinynn.quant.rounding import from_gguf
from tinynn.quant.saved import (
    QUANTIZATION,
    is_quantized,
    quantization_settings,
    restore_matrices,
    stored_matrices,
)
from tinynn.quant.stacking import stack

__all__ = [
    "FORMATS",
    "QUANTIZATION",
    "STORED",
    "HalfMatrix",
    "QuantizedEmbedding",
    "QuantizedLinear",
    "QuantizedMatrix",
    "from_gguf",
    "gather",
    "is_quantized",
    "place_matrices",
    "quantization_settings",
    "quantize",
    "restore_matrices",
    "stack",
    "stored_matrices",
]

"""Layers whose weights are matrices of few bits. They compute; they are not trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynn import nn
from tinynn.autograd import Tensor
from tinynn.autograd.grad_mode import grad_mode
from tinynn.backend import recording
from tinynn.quant.matrices import QuantizedMatrix

if TYPE_CHECKING:
    from tinynn.quant.rounding import Matrix


class _WithMatrix(nn.Module):
    """What both layers are: a matrix of few bits, which moves with the module."""

    matrix: Matrix

    def _move_extra(self, device: Any) -> None:
        self.matrix.to(device)

    def extra_repr(self) -> str:
        return repr(self.matrix)


class QuantizedLinear(_WithMatrix):
    """y = x W^T + b with a matrix of few bits: (..., inputs) -> (..., outputs).

    Arguments:
        matrix: W.
        bias: (outputs,) or None.
        activations: what x is rounded to, "int8" or "float32"; see `QuantizedMatrix.linear`.

    Raises RuntimeError where a gradient would be lost.

    >>> import tinynn as tn
    >>> from tinynn.quant import QuantizedLinear, quantize
    >>> QuantizedLinear(quantize(tn.ones(3, 2).data, "int8"))(tn.ones(5, 2)).shape
    (5, 3)
    """

    def __init__(
        self, matrix: Matrix, bias: Tensor | None = None, activations: str = "int8"
    ) -> None:
        self.matrix, self.bias, self.activations = matrix, bias, activations
        # A matrix of 16-bit floats leaves x as it is.
        whole = isinstance(matrix, QuantizedMatrix)
        self._options = {"activations": activations} if whole else {}

    def forward(self, input: Tensor) -> Tensor:
        _check("QuantizedLinear", input)
        bias = None if self.bias is None else self.bias.data
        return Tensor(self.matrix.linear(recording.seen(input.data), bias, **self._options))


class QuantizedEmbedding(_WithMatrix):
    """y = W[i] with a matrix of few bits: integers (...) -> (..., embedding_dim) float32."""

    def __init__(self, matrix: Matrix) -> None:
        self.matrix = matrix

    def forward(self, input: Tensor) -> Tensor:
        return Tensor(self.matrix.rows(recording.seen(input.data)))


def _check(operation: str, input: Any) -> None:
    if input.requires_grad and grad_mode.enabled:
        raise RuntimeError(
            f"{operation}: no gradient goes through quantized weights, but the input requires one; "
            "compute under tn.no_grad()"
        )

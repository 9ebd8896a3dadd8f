"""Matrices with the same input as one: a call instead of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tinynn.backend.devices import backend_of
from tinynn.backend.reference.quantized import ROWS
from tinynn.quant.matrices import HalfMatrix, QuantizedMatrix

if TYPE_CHECKING:
    from collections.abc import Sequence

Matrix = TypeVar("Matrix", QuantizedMatrix, HalfMatrix)


def stack(matrices: Sequence[Matrix]) -> Matrix:
    """A matrix with the rows of all: its outputs are theirs, one behind the other.

    The projections of attention to query, key and value read the same x; so do the gate and the up
    projection of a feed-forward layer. As one matrix x is rounded once, and memory is read on.

    Arguments:
        matrices: at least one, of the same format and the same inputs. The outputs of quantized
            ones are multiples of 16, those of the last aside.

    Raises ValueError where that is not so.

    >>> import numpy as np
    >>> from tinynn.quant import quantize
    >>> parts = [quantize(np.full((32, 8), value, np.float32), "int8") for value in (1, 2)]
    >>> stack(parts)
    QuantizedMatrix('int8', shape=(64, 8))
    """
    if not matrices:
        raise ValueError("stack: got no matrices, expected at least one")
    first = matrices[0]
    for place, matrix in enumerate(matrices):
        if (matrix.format, matrix.shape[1]) != (first.format, first.shape[1]):
            raise ValueError(f"stack: matrix {place} is {matrix}, expected one like {first}")
        whole = isinstance(matrix, HalfMatrix) or matrix.shape[0] % ROWS == 0
        if not whole and matrix is not matrices[-1]:
            raise ValueError(
                f"stack: matrix {place} has {matrix.shape[0]} outputs, expected a multiple of "
                f"{ROWS} in all but the last"
            )
    if isinstance(first, HalfMatrix):
        xp = backend_of(first.weight).xp
        return HalfMatrix(xp.concatenate([matrix.weight for matrix in matrices]))
    xp = backend_of(first.blocks).xp
    scales = None
    if first.row_scales is not None:
        scales = xp.concatenate([matrix.row_scales for matrix in matrices])
    outputs = sum(matrix.shape[0] for matrix in matrices)
    blocks = xp.concatenate([matrix.blocks for matrix in matrices])
    return QuantizedMatrix(blocks, scales, (outputs, first.shape[1]))

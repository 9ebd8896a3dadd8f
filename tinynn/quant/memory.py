"""The matrices of a model in one piece of memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.quant.matrices import HalfMatrix, QuantizedMatrix

if TYPE_CHECKING:
    from collections.abc import Iterable

_LINE = 64  # bytes; where a matrix begins is a multiple


def gather(matrices: Iterable[QuantizedMatrix | HalfMatrix]) -> None:
    """Moves the numbers of matrices behind each other into one array, in the order given.

    A model reads its weights from memory once a token, and that is most of the token's time. Memory
    comes half as fast again in pages of two megabytes as in pages of four kilobytes, for the
    processor asks ahead within a page only and finds few of the small ones in its table. NumPy asks
    for large pages for arrays of four megabytes and more, which single matrices seldom are.

    Arguments:
        matrices: in the order in which a model uses them; one that comes twice is placed once. They
            are changed: `blocks`, or `weight`, is a part of the array then. Those whose arrays are
            not NumPy's stay where they are.

    >>> import numpy as np
    >>> from tinynn.quant import quantize
    >>> one, other = (quantize(np.ones((16, 32), np.float32), "int8") for _ in range(2))
    >>> gather([one, other])
    >>> other.blocks.ctypes.data - one.blocks.ctypes.data
    512
    """
    unique = {id(matrix): matrix for matrix in matrices}
    ours = [matrix for matrix in unique.values() if isinstance(_numbers(matrix), np.ndarray)]
    sizes = [-(-_numbers(matrix).nbytes // _LINE) * _LINE for matrix in ours]
    memory = np.empty(sum(sizes) + _LINE, np.uint8)
    place = -memory.ctypes.data % _LINE
    for matrix, size in zip(ours, sizes, strict=True):
        numbers = _numbers(matrix)
        moved = memory[place : place + numbers.nbytes].view(numbers.dtype).reshape(numbers.shape)
        moved[...] = numbers
        if isinstance(matrix, HalfMatrix):
            matrix.weight = moved
        else:
            matrix.blocks = moved
        place += size


def _numbers(matrix: QuantizedMatrix | HalfMatrix) -> Any:
    return matrix.weight if isinstance(matrix, HalfMatrix) else matrix.blocks

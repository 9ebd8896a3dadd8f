"""A tensor's layout: its dimensions, elements and bytes, and how they lie in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynn.backend.dtypes import is_floating
from tinynn.ops.conversion import clone
from tinynn.ops.dims import canonical_dim

if TYPE_CHECKING:
    from tinynn.autograd import Tensor


def size(input: Tensor, dim: int | None = None) -> Any:
    """Its shape, or the size of one dimension.

    >>> import tinynn as tn
    >>> tn.zeros(2, 3).size(), tn.zeros(2, 3).size(-1)
    ((2, 3), 3)
    """
    if dim is None:
        return input.shape
    if not input.data.ndim:
        raise IndexError("size: a tensor of no dimensions has no sizes")
    return input.shape[canonical_dim("size", dim, input.data.ndim)]


def numel(input: Tensor) -> int:
    """The number of its elements.

    >>> import tinynn as tn
    >>> tn.zeros(2, 3).numel()
    6
    """
    return int(input.data.size)


def dim(input: Tensor) -> int:
    """The number of its dimensions.

    >>> import tinynn as tn
    >>> tn.zeros(2, 3).dim()
    2
    """
    return int(input.data.ndim)


def is_floating_point(input: Tensor) -> bool:
    """Whether its elements are floats.

    >>> import tinynn as tn
    >>> tn.ones(2).is_floating_point(), tn.tensor([1, 2]).is_floating_point()
    (True, False)
    """
    return is_floating(input.data.dtype)


def element_size(input: Tensor) -> int:
    """The size of an element, in bytes.

    >>> import tinynn as tn
    >>> tn.ones(2).element_size()
    4
    """
    return int(input.data.dtype.itemsize)


def nbytes(input: Tensor) -> int:
    """The size of all elements, in bytes.

    >>> import tinynn as tn
    >>> tn.ones(2, 3).nbytes
    24
    """
    return int(input.data.nbytes)


def is_contiguous(input: Tensor) -> bool:
    """Whether its elements lie in memory one after the other, row by row.

    >>> import tinynn as tn
    >>> tn.ones(2, 3).is_contiguous(), tn.ones(2, 3).T.is_contiguous()
    (True, False)
    """
    return bool(input.data.flags.c_contiguous)


def contiguous(input: Tensor) -> Tensor:
    """The tensor laid out row by row: itself where it is so, else a copy.

    >>> import tinynn as tn
    >>> tn.ones(2, 3).T.contiguous().is_contiguous()
    True
    """
    return input if is_contiguous(input) else clone(input)

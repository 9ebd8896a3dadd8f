"""Slices: views of the part of a tensor that integers, slices, None and ... name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynn.ops.dims import canonical_dim, check_tensor, sizes_of
from tinynn.ops.registry import apply, declare, public

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinynn.autograd.tensor import Tensor
    from tinynn.ops.dims import Shape


def along(ndim: int, dim: int, place: Any) -> tuple[Any, ...]:
    """The index that applies `place` to one dimension and takes all of the others."""
    return (*(slice(None),) * dim, place, *(slice(None),) * (ndim - dim - 1), ...)


def _place(xp: Any, x: Any, *, index: tuple[Any, ...], shape: Shape) -> Any:
    """Zeros, but for x where `index` points to."""
    result = xp.zeros(shape, x.dtype)
    result[index] = x
    return result


GETITEM = declare(
    "getitem",
    lambda xp, x, *, index: x[index],
    saves=("x.shape",),
    vjps=(lambda F, g, shape, *, index: F.place(g, index=index, shape=shape),),
    views=True,
)

PLACE = declare(
    "place",
    _place,
    vjps=(lambda F, g, *, index, shape: F.getitem(g, index=index),),
    borrows=True,
)


def slice_of(input: Tensor, items: tuple[Any, ...]) -> Tensor:
    """A view by integers, slices, None and ...; the ... at the end keeps 0-d results views."""
    index = items if ... in items else (*items, ...)
    try:
        return apply(GETITEM, (input,), {"index": index})
    except IndexError as error:
        raise index_error("getitem", error, input) from None


def index_error(name: str, error: IndexError, input: Tensor) -> IndexError:
    return IndexError(f"{name}: {error} (the tensor has shape {input.shape})")


@public
def split(
    tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0
) -> tuple[Tensor, ...]:
    """Consecutive parts along a dimension: of one size (the last may be less), or of given sizes.

    The parts are views. Raises RuntimeError where the sizes do not add up or are negative,
    IndexError for a dimension out of range.

    >>> import tinynn as tn
    >>> tn.split(tn.arange(5), 2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    check_tensor("split", tensor, "tensor")
    if not tensor.data.ndim:
        raise RuntimeError("split: needs a tensor of one or more dimensions")
    dim = canonical_dim("split", dim, tensor.data.ndim)
    total = tensor.shape[dim]
    if isinstance(split_size_or_sections, int):
        size = split_size_or_sections
        if size < 0 or (size == 0 and total):
            raise RuntimeError(f"split: split_size must be positive, got {size}")
        pieces = max(1, -(-total // size)) if size else 1
        sizes = (*(size,) * (pieces - 1), total - size * (pieces - 1))
    else:
        sizes = sizes_of("split", (tuple(split_size_or_sections),))
        if sum(sizes) != total or min(sizes, default=0) < 0:
            raise RuntimeError(
                f"split: sections {list(sizes)} must add up to {total}, the size of dim {dim} of "
                f"shape {tensor.shape}, and none be negative"
            )
    return _parts(tensor, sizes, dim)


@public
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """As many parts of equal size along a dimension; fewer or a smaller last one if need be.

    Raises RuntimeError for less than one chunk, IndexError for a dimension out of range.

    >>> import tinynn as tn
    >>> tn.chunk(tn.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    check_tensor("chunk", input)
    if not input.data.ndim:
        raise RuntimeError("chunk: needs a tensor of one or more dimensions")
    dim = canonical_dim("chunk", dim, input.data.ndim)
    if chunks < 1:
        raise RuntimeError(f"chunk: chunks must be at least 1, got {chunks}")
    total = input.shape[dim]
    if not total:
        return _parts(input, (0,) * chunks, dim)
    return split(input, -(-total // chunks), dim)


@public
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along a dimension, which they no longer have; views.

    Raises IndexError for a dimension out of range.

    >>> import tinynn as tn
    >>> tn.unbind(tn.tensor([[1, 2], [3, 4]]), dim=1)
    (tensor([1, 3]), tensor([2, 4]))
    """
    check_tensor("unbind", input)
    ndim = input.data.ndim
    if not ndim:
        raise IndexError("unbind: needs a tensor of one or more dimensions")
    dim = canonical_dim("unbind", dim, ndim)
    return tuple(slice_of(input, along(ndim, dim, place)) for place in range(input.shape[dim]))


def _parts(input: Tensor, sizes: Sequence[int], dim: int) -> tuple[Tensor, ...]:
    """Consecutive slices of these sizes."""
    start, results = 0, []
    for size in sizes:
        index = along(input.data.ndim, dim, slice(start, start + size))
        results.append(slice_of(input, index))
        start += size
    return tuple(results)

"""`tensor[index]`, by NumPy's rules for slices, integers, masks and arrays of indices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.autograd.tensor import Tensor
from tinynn.ops.conversion import to
from tinynn.ops.dims import check_tensor
from tinynn.ops.gathering import add_at, check_integers, select
from tinynn.ops.joining import stack
from tinynn.ops.registry import apply, declare, public
from tinynn.ops.shape import expand, reshape
from tinynn.ops.slicing import index_error, slice_of, unbind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinynn.ops.dims import Shape

_PLAIN = (int, slice, type(None), type(...))


def _picked(ndim: int, indices: Any, dims: tuple[int, ...]) -> tuple[Any, ...]:
    """The index with one array of `indices` in each of the dims, and all of the others."""
    arrays = dict(zip(dims, indices, strict=True))
    return tuple(arrays.get(d, slice(None)) for d in range(ndim))


def _pick_sum(xp: Any, x: Any, indices: Any, *, dims: tuple[int, ...], shape: Shape) -> Any:
    """Elements of x added up into the places that `pick` would take them from."""
    result = xp.zeros(shape, x.dtype)
    add_at(xp, result, _picked(len(shape), indices, dims), x)
    return result


PICK = declare(
    "pick",
    lambda xp, x, indices, *, dims: x[_picked(x.ndim, indices, dims)],
    saves=("x.shape", "indices"),
    vjps=(
        lambda F, g, shape, indices, *, dims: F.pick_sum(g, indices, dims=dims, shape=shape),
        None,
    ),
)

PICK_SUM = declare(
    "pick_sum",
    _pick_sum,
    saves=("indices",),
    vjps=(lambda F, g, indices, *, dims, shape: F.pick(g, indices, dims=dims), None),
)


NONZERO = declare("nonzero", lambda xp, x: xp.argwhere(x), differentiable=False)


@public
def nonzero(input: Tensor) -> Tensor:
    """The indices of the elements that are not zero, a row for each: (count, dimensions), int64.

    >>> import tinynn as tn
    >>> tn.nonzero(tn.tensor([[0, 1], [2, 0]]))
    tensor([[0, 1],
            [1, 0]])
    """
    check_tensor("nonzero", input)
    return apply(NONZERO, (input,))


@public
def getitem(input: Tensor, index: Any) -> Tensor:
    """`input[index]`.

    Integers (also as tensors of no dimensions), slices (also backwards), None and ... give a view.
    Integer and boolean tensors, arrays and lists give a copy, by NumPy's rules for advanced
    indexing once integers and slices have been applied, as in PyTorch.

    Raises IndexError for an index out of range, too many of them, a mask of another shape, and for
    arrays of floats. On a GPU an array of indices is not checked, and wraps around.

    >>> import tinynn as tn
    >>> x = tn.tensor([[1, 2, 3], [4, 5, 6]])
    >>> x[:, 1], x[..., None].shape
    (tensor([2, 5]), (2, 3, 1))
    >>> x[x > 4], x[[1, 0], [0, 2]]
    (tensor([5, 6]), tensor([4, 3]))
    """
    items = index if type(index) is tuple else (index,)
    if all(type(item) in _PLAIN for item in items):
        return slice_of(input, items)
    check_tensor("getitem", input)
    slices, arrays = in_turn("getitem", input, items)
    trivial = all(isinstance(item, slice) and item == slice(None) for item in slices)
    part = input if trivial else slice_of(input, tuple(slices))
    dims = [dim for dim, array in enumerate(arrays) if array is not None]
    return _take(part, dims, [array for array in arrays if array is not None])


def iterate(input: Tensor) -> Iterator[Tensor]:
    """`iter(tensor)`: its slices along the first dimension.

    >>> import tinynn as tn
    >>> [row.tolist() for row in tn.tensor([[1, 2], [3, 4]])]
    [[1, 2], [3, 4]]
    """
    if not input.data.ndim:
        raise TypeError("iteration over a tensor of no dimensions")
    return (getitem(input, place) for place in range(input.data.shape[0]))


def _with_ellipsis(name: str, items: tuple[Any, ...], ndim: int) -> list[Any]:
    """The items of an index with full slices in place of `...`."""
    ellipses = [place for place, item in enumerate(items) if item is ...]
    if len(ellipses) > 1:
        raise IndexError(f"{name}: an index may have only one ellipsis (...)")
    if not ellipses:
        return list(items)
    taken = 0
    for item in items:
        if isinstance(item, bool) or item is None or item is ...:
            continue
        mask = isinstance(item, Tensor | np.ndarray) and item.dtype == bool
        taken += item.ndim if mask else 1
    place = ellipses[0]
    return [*items[:place], *[slice(None)] * (ndim - taken), *items[place + 1 :]]


def in_turn(
    name: str, input: Tensor, items: tuple[Any, ...]
) -> tuple[list[Any], list[Tensor | None]]:
    """The part of an index that is slices and integers, which comes first, and the arrays.

    There is an array of integers, or None, for each dimension that the first part leaves.
    """
    slices: list[Any] = []
    arrays: list[Tensor | None] = []
    for item in _with_ellipsis(name, items, input.data.ndim):
        if item is None or isinstance(item, slice):
            slices.append(item)
            arrays.append(None)
        elif isinstance(item, int | np.integer) and not isinstance(item, bool):
            slices.append(int(item))
        elif (tensor := _index_tensor(name, item, input)).data.dtype != bool:
            slices.append(slice(None) if tensor.ndim else int(tensor))
            arrays += [tensor] if tensor.ndim else []
        elif not tensor.ndim:  # a single bool is a mask of a new dimension of size 1
            slices.append(None)
            arrays += unbind(nonzero(reshape(tensor, 1)), 1)
        else:
            consumed = len([part for part in slices if part is not None])
            if tensor.shape != input.shape[consumed : consumed + tensor.ndim]:
                raise IndexError(
                    f"{name}: a mask of shape {tensor.shape} does not fit the dimensions from "
                    f"{consumed} on of shape {input.shape}"
                )
            slices += [slice(None)] * tensor.ndim
            arrays += unbind(nonzero(tensor), 1)
    return slices, arrays


def _index_tensor(name: str, item: Any, input: Tensor) -> Tensor:
    """A tensor of integers or bools, beside the input, from what may be an array or a list."""
    if not isinstance(item, Tensor):
        if not isinstance(item, bool | list | tuple | np.ndarray):
            raise TypeError(
                f"{name}: an index is an integer, slice, None, ... or an array of integers or "
                f"bools, got {type(item).__name__}"
            )
        array = np.asarray(item)
        if not array.size and array.dtype == np.float64:  # an empty list
            array = array.astype(np.int64)
        item = Tensor(array)
    check_integers(name, item, IndexError, bools=True)
    return to(item, device=input.device) if item.device == "cpu" else item


def _take(input: Tensor, dims: list[int], arrays: list[Tensor]) -> Tensor:
    """Advanced indexing: one array of integers for each of the dims, broadcast."""
    if not dims:
        return input
    if dims[-1] >= input.data.ndim:
        raise IndexError(f"getitem: too many indices for a tensor of shape {input.shape}")
    if len(dims) == 1:
        return select("getitem", input, arrays[0], dims[0])
    try:
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
    except ValueError:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise IndexError(f"getitem: indices of shapes {shapes} do not broadcast") from None
    indices = stack([expand(array, shape) for array in arrays])
    try:
        return apply(PICK, (input, indices), {"dims": tuple(dims)})
    except IndexError as error:
        raise index_error("getitem", error, input) from None

"""Elements and slices by arrays of indices along a dimension, and sums into such places.

Each way of reading has a way of adding up behind it, and each of the two is the other's gradient:
index_select (whole slices) and index_sum, take_along_dim (single elements) and scatter_sum.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.autograd.tensor import Tensor
from tinynn.backend import recording
from tinynn.backend.devices import backend_of
from tinynn.backend.dtypes import int64, is_floating
from tinynn.ops.choice import where
from tinynn.ops.conversion import to
from tinynn.ops.dims import canonical_dim, check_tensor, without
from tinynn.ops.registry import apply, declare, public
from tinynn.ops.shape import expand, reshape
from tinynn.ops.slicing import index_error, slice_of

if TYPE_CHECKING:
    from tinynn.ops.dims import Shape


def _addable(x: Any) -> Any:
    """CuPy adds up no int64, but uint64, in which the sums have the same bits."""
    return x.view(np.uint64) if x.dtype == int64 else x


def add_at(xp: Any, target: Any, places: Any, values: Any) -> None:
    """Adds the values to the places of a target, also where a place comes more than once."""
    xp.add.at(_addable(target), places, _addable(values))


def _index_sum(xp: Any, x: Any, index: Any, *, dim: int, size: int) -> Any:
    """Slices of x along its dims of the index added up into a dimension of `size`."""
    front = tuple(range(index.ndim))
    rows = xp.moveaxis(x, tuple(dim + d for d in front), front)
    rest = rows.shape[index.ndim :]
    width = math.prod(rest)
    result = xp.zeros((size, width), x.dtype)
    backend_of(x).kernels.index_add(
        _addable(result), index % max(size, 1), _addable(rows.reshape(index.size, width))
    )
    return xp.moveaxis(result.reshape(size, *rest), 0, dim)


def _scatter_sum(xp: Any, x: Any, index: Any, *, dim: int, shape: Shape) -> Any:
    """Elements of x added up, each into the place along dim that the index gives."""
    result = xp.zeros(shape, x.dtype)
    places = xp.zeros((), np.int64)
    for d, size in enumerate(shape):
        counts = xp.arange(x.shape[d]).reshape(-1, *(1,) * (len(shape) - d - 1))
        places = places * size + (index % max(size, 1) if d == dim else counts)
    add_at(xp, result.reshape(-1), places.reshape(-1), x.reshape(-1))
    return result


INDEX_SELECT = declare(
    "index_select",
    lambda xp, x, index, *, dim: x.take(index, axis=dim),
    saves=("x.shape", "index"),
    vjps=(
        lambda F, g, shape, index, *, dim: F.index_sum(g, index, dim=dim, size=shape[dim]),
        None,
    ),
)

INDEX_SUM = declare(
    "index_sum",
    _index_sum,
    saves=("index",),
    vjps=(lambda F, g, index, *, dim, size: F.index_select(g, index, dim=dim), None),
)

TAKE_ALONG_DIM = declare(
    "take_along_dim",
    lambda xp, x, indices, *, dim: xp.take_along_axis(x, indices, dim),
    saves=("x.shape", "indices"),
    vjps=(
        lambda F, g, shape, indices, *, dim: F.scatter_sum(g, indices, dim=dim, shape=shape),
        None,
    ),
)

SCATTER_SUM = declare(
    "scatter_sum",
    _scatter_sum,
    saves=("x.shape", "index"),
    vjps=(
        lambda F, g, small, index, *, dim, shape: F.take_along_dim(
            F.getitem(g, index=_corner(small, dim)), index, dim=dim
        ),
        None,
    ),
)


@public
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices along dim that a vector of integers names; negative ones count from the end.

    Raises IndexError for a dimension or index out of range, or an index that is no vector of
    integers.

    >>> import tinynn as tn
    >>> tn.index_select(tn.tensor([[1, 2], [3, 4]]), 1, tn.tensor([1, 1]))
    tensor([[2, 2],
            [4, 4]])
    """
    check_tensor("index_select", input)
    dim = canonical_dim("index_select", dim, input.data.ndim)
    check_integers("index_select", index, IndexError)
    if index.data.ndim > 1:
        raise IndexError(f"index_select: index must be a vector, got shape {index.shape}")
    if not input.data.ndim:
        return reshape(select("index_select", _flat(input), _flat(index), 0), ())
    return select("index_select", input, _flat(index), dim)


@public
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """Elements along dim, by indices for each place; the other dimensions broadcast.

    Without dim both are flattened first. Negative indices count from the end. Raises RuntimeError
    where the numbers of dimensions differ or the shapes do not broadcast, IndexError for an index
    out of range.

    >>> import tinynn as tn
    >>> x = tn.tensor([[1, 5], [7, 4]])
    >>> tn.take_along_dim(x, tn.argmax(x, dim=1, keepdim=True), dim=1)
    tensor([[5],
            [7]])
    """
    name = "take_along_dim"
    check_tensor(name, input)
    check_integers(name, indices, RuntimeError)
    if dim is None:
        return _along_dim(name, _flat(input), _flat(indices), 0)
    dim = canonical_dim(name, dim, input.data.ndim)
    shape, other = input.shape, indices.shape
    if len(shape) != len(other):
        raise RuntimeError(
            f"{name}: input and indices must have as many dimensions, got {shape} and {other}"
        )
    if not shape:
        return _along_dim(name, _flat(input), _flat(indices), 0, shape=())
    try:
        common = np.broadcast_shapes(without(shape, (dim,)), without(other, (dim,)))
    except ValueError:
        raise RuntimeError(
            f"{name}: shapes {shape} and {other} do not broadcast outside dim {dim}"
        ) from None
    wanted, picked = ((*common[:dim], s[dim], *common[dim:]) for s in (shape, other))
    if shape != wanted:
        input = expand(input, wanted)
    if other != picked:
        indices = expand(indices, picked)
    return _along_dim(name, input, indices, dim)


@public
def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """Elements along dim, one for each element of index: out[i][j] = input[index[i][j]][j].

    In the other dimensions the index may be smaller than the input. Negative indices count from
    the end. Raises RuntimeError where the shapes do not fit, IndexError for an index out of range.

    >>> import tinynn as tn
    >>> tn.gather(tn.tensor([[1, 2], [3, 4]]), 1, tn.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])
    """
    check_tensor("gather", input)
    dim = canonical_dim("gather", dim, input.data.ndim)
    check_integers("gather", index, RuntimeError)
    _check_inside("gather", "input", input.shape, index, dim)
    if not input.data.ndim:
        return _along_dim("gather", _flat(input), _flat(index), 0, shape=())
    if without(input.shape, (dim,)) != without(index.shape, (dim,)):
        input = slice_of(input, _corner(index.shape, dim))
    return _along_dim("gather", input, index, dim)


@public
def index_add(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1
) -> Tensor:
    """input, with slices of alpha * source added at the places along dim that index names.

    Raises RuntimeError where shapes or dtypes do not fit or an index is out of range.

    >>> import tinynn as tn
    >>> tn.index_add(tn.zeros(3), 0, tn.tensor([0, 2, 0]), tn.tensor([1.0, 2.0, 3.0]))
    tensor([4., 0., 2.])
    """
    check_tensor("index_add", input)
    dim = canonical_dim("index_add", dim, input.data.ndim)
    check_integers("index_add", index, RuntimeError)
    check_tensor("index_add", source, "source")
    _check_dtype("index_add", "source", input, source)
    place = (*input.shape[:dim], index.data.size, *input.shape[dim + 1 :])
    if index.data.ndim > 1 or source.shape != (place if input.data.ndim else source.shape):
        raise RuntimeError(
            f"index_add: for input {input.shape}, dim {dim} and index {index.shape} source must "
            f"have shape {place}, got {source.shape}"
        )
    if not input.data.ndim:
        return reshape(index_add(_flat(input), 0, index, _flat(source), alpha=alpha), ())
    recording.checked(_check_range, "index_add", index.data, input.shape[dim])
    attributes = {"dim": dim, "size": input.shape[dim]}
    total = apply(INDEX_SUM, (source, _flat(index)), attributes)
    return input + (total if alpha == 1 else total * alpha)


@public
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """input, with each element of src added at the place along dim that index gives for it.

    out[index[i][j]][j] += src[i][j] for dim 0. Raises RuntimeError where shapes or dtypes do not
    fit or an index is out of range.

    >>> import tinynn as tn
    >>> tn.scatter_add(tn.zeros(3), 0, tn.tensor([0, 2, 0]), tn.tensor([1.0, 2.0, 3.0]))
    tensor([4., 0., 2.])
    """
    check_tensor("scatter_add", input)
    dim = canonical_dim("scatter_add", dim, input.data.ndim)
    check_integers("scatter_add", index, RuntimeError)
    check_tensor("scatter_add", src, "src")
    _check_dtype("scatter_add", "src", input, src)
    _check_inside("scatter_add", "input", input.shape, index, dim)
    _check_inside("scatter_add", "src", src.shape, index, None)
    size = input.shape[dim] if input.data.ndim else 1
    recording.checked(_check_range, "scatter_add", index.data, size)
    if not input.data.ndim:
        return input + src
    if src.shape != index.shape:
        src = slice_of(src, _corner(index.shape, None))
    return input + apply(SCATTER_SUM, (src, index), {"dim": dim, "shape": input.shape})


@public
def masked_fill(input: Tensor, mask: Tensor, value: Tensor | float) -> Tensor:
    """input, with value where the mask, which broadcasts, is true; of input's dtype.

    Raises RuntimeError for a mask that is not boolean, or a value of one or more dimensions.

    >>> import tinynn as tn
    >>> tn.masked_fill(tn.tensor([1.0, 2.0]), tn.tensor([True, False]), 0)
    tensor([0., 2.])
    """
    check_tensor("masked_fill", input)
    check_tensor("masked_fill", mask, "mask")
    if mask.data.dtype != bool:
        raise RuntimeError(f"masked_fill: mask must be boolean, got {mask.dtype}")
    if isinstance(value, Tensor):
        if value.data.ndim:
            raise RuntimeError(
                f"masked_fill: value must be a number or a tensor of no dimensions, got shape "
                f"{value.shape}"
            )
        return where(mask, to(value, dtype=input.dtype), input)
    if not isinstance(value, bool | int | float):
        raise TypeError(f"masked_fill: value must be a number, got {type(value).__name__}")
    kind = float if is_floating(input.data.dtype) else bool if input.data.dtype == bool else int
    return where(mask, kind(value), input)


def select(name: str, input: Tensor, index: Tensor, dim: int) -> Tensor:
    """The slices along dim that an array of integers, of any shape, names."""
    try:
        return apply(INDEX_SELECT, (input, index), {"dim": dim})
    except IndexError as error:
        raise index_error(name, error, input) from None


def check_integers(name: str, index: Any, error: type[Exception], bools: bool = False) -> None:
    """Raises `error` for a tensor that is no array of integers (or, where they are, bools)."""
    check_tensor(name, index, "index")
    if index.data.dtype.kind not in ("iub" if bools else "iu"):
        wanted = "integers or bools" if bools else "integers"
        raise error(f"{name}: index must be {wanted}, got {index.dtype}")


def _along_dim(
    name: str, input: Tensor, indices: Tensor, dim: int, shape: Shape | None = None
) -> Tensor:
    try:
        result = apply(TAKE_ALONG_DIM, (input, indices), {"dim": dim})
    except IndexError as error:
        raise index_error(name, error, input) from None
    return result if shape is None else reshape(result, shape)


def _flat(input: Tensor) -> Tensor:
    return input if input.data.ndim == 1 else reshape(input, -1)


def _corner(shape: Shape, dim: int | None) -> tuple[slice, ...]:
    """The index of the corner of a larger array that has this shape, but for one dim."""
    return tuple(slice(None) if d == dim else slice(size) for d, size in enumerate(shape))


def _check_dtype(name: str, argument: str, input: Tensor, other: Tensor) -> None:
    if input.data.dtype != other.data.dtype:
        raise RuntimeError(
            f"{name}: {argument} must have input's dtype, {input.dtype}, got {other.dtype}"
        )


def _check_inside(name: str, argument: str, shape: Shape, index: Tensor, dim: int | None) -> None:
    """The index has as many dimensions as `shape` and is nowhere larger, but for one dim."""
    small = index.shape
    if len(small) != len(shape) or any(
        d != dim and size > shape[d] for d, size in enumerate(small)
    ):
        elsewhere = "" if dim is None else f" outside dim {dim}"
        raise RuntimeError(
            f"{name}: index of shape {small} must have as many dimensions as {argument} of shape "
            f"{shape}, and be no larger{elsewhere}"
        )


def _check_range(name: str, index: Any, size: int) -> None:
    """Every index is in -size <= i < size; reads the extremes on the host."""
    if index.size:
        low, high = int(index.min()), int(index.max())
        if low < -size or high >= size:
            raise RuntimeError(
                f"{name}: index {high if high >= size else low} is out of range for size {size}"
            )

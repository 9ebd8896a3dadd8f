"""Dimensions and shapes as users write them, brought to canonical form or refused."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, TypeAlias

from tinynn.autograd.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable

Dims: TypeAlias = "int | tuple[int, ...] | list[int] | None"
Shape: TypeAlias = tuple[int, ...]


def check_tensor(name: str, value: Any, argument: str = "input") -> None:
    """TypeError, naming the operation and the argument, for what is not a tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{name}: {argument} must be a tensor, got {type(value).__name__}; "
            "make one with tn.tensor(...)"
        )


def canonical_dim(name: str, dim: Any, ndim: int) -> int:
    """A dimension in 0 <= dim < ndim, from one that may be negative.

    A tensor of no dimensions is treated as if it had one, as in PyTorch. Raises TypeError for what
    is not an integer and IndexError for one out of range.
    """
    try:
        result = operator.index(dim)
    except TypeError:
        raise TypeError(f"{name}: dim must be an int, got {type(dim).__name__}") from None
    count = ndim or 1
    if not -count <= result < count:
        raise IndexError(
            f"{name}: dim {result} is out of range for a tensor of {ndim} dimensions "
            f"(expected {-count} to {count - 1})"
        )
    return result % count


def canonical_dims(name: str, dim: Any, ndim: int) -> tuple[int, ...]:
    """The dimensions to reduce, in ascending order; None and () mean all of them.

    Raises as `canonical_dim`, and RuntimeError where a dimension comes twice.
    """
    if dim is None or dim == ():
        return tuple(range(ndim))
    if not isinstance(dim, tuple | list):
        canonical: tuple[int, ...] = (canonical_dim(name, dim, ndim),)
    else:
        canonical = tuple(sorted(canonical_dim(name, item, ndim) for item in dim))
        if len(set(canonical)) < len(canonical):
            raise RuntimeError(f"{name}: a dimension comes twice in dim {tuple(dim)}")
    return canonical if ndim else ()


def sizes_of(name: str, sizes: tuple[Any, ...]) -> Shape:
    """A shape from `f(2, 3)` or `f((2, 3))`; TypeError for what is not integers."""
    if len(sizes) == 1 and isinstance(sizes[0], tuple | list):
        sizes = tuple(sizes[0])
    try:
        return tuple(operator.index(size) for size in sizes)
    except TypeError:
        raise TypeError(f"{name}: a shape is made of integers, got {sizes}") from None


def without(shape: Shape, dims: Iterable[int]) -> Shape:
    """A shape without some of its dimensions."""
    left_out = set(dims)
    return tuple(size for dim, size in enumerate(shape) if dim not in left_out)


def with_ones(shape: Shape, dims: Iterable[int]) -> Shape:
    """A shape with size 1 in some of its dimensions, as a reduction with keepdim leaves it."""
    reduced = set(dims)
    return tuple(1 if dim in reduced else size for dim, size in enumerate(shape))

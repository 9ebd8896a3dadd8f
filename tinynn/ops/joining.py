"""Tensors joined into larger ones: cat, stack, pad."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynn.autograd.tensor import Tensor
from tinynn.backend.dtypes import promote
from tinynn.ops.conversion import to
from tinynn.ops.dims import canonical_dim, check_tensor, sizes_of, without
from tinynn.ops.registry import Every, apply, declare, public
from tinynn.ops.shape import reshape, unsqueeze
from tinynn.ops.slicing import along, slice_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinynn.ops.dims import Shape


def _cat_vjp(position: int, F: Any, g: Any, *, dim: int, offsets: tuple[int, ...]) -> Any:
    part = slice(offsets[position], offsets[position + 1])
    return F.getitem(g, index=along(len(g.shape), dim, part))


def _pad(xp: Any, x: Any, *, before: Shape, after: Shape, value: float) -> Any:
    shape = tuple(map(sum, zip(before, x.shape, after, strict=True)))
    result = xp.full(shape, value, x.dtype)
    result[_inner(before, x.shape)] = x
    return result


def _inner(before: Shape, shape: Shape) -> tuple[slice, ...]:
    return tuple(slice(start, start + size) for start, size in zip(before, shape, strict=True))


CAT = declare(
    "cat",
    lambda xp, *arrays, dim, offsets: xp.concatenate(arrays, axis=dim),
    vjps=Every(_cat_vjp),
    borrows=True,
)

PAD = declare(
    "pad",
    _pad,
    saves=("x.shape",),
    vjps=(lambda F, g, shape, *, before, after, value: F.getitem(g, index=_inner(before, shape)),),
    borrows=True,
)


@public
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors joined along a dimension that exists; their dtypes are promoted.

    Raises RuntimeError where the other sizes differ, TypeError for what is not tensors.

    >>> import tinynn as tn
    >>> tn.cat([tn.tensor([1, 2]), tn.tensor([3])])
    tensor([1, 2, 3])
    """
    return _join("cat", tensors, dim)


@public
def concat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Another name of `cat`.

    >>> import tinynn as tn
    >>> tn.concat([tn.zeros(2, 1), tn.ones(2, 1)], dim=1)
    tensor([[0., 1.],
            [0., 1.]])
    """
    return _join("concat", tensors, dim)


@public
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension; their dtypes are promoted.

    Raises RuntimeError where the shapes differ, TypeError for what is not tensors.

    >>> import tinynn as tn
    >>> tn.stack([tn.tensor([1, 2]), tn.tensor([3, 4])], dim=1)
    tensor([[1, 3],
            [2, 4]])
    """
    tensors = _sequence("stack", tensors)
    first = tensors[0].shape
    for position, item in enumerate(tensors):
        if item.shape != first:
            raise RuntimeError(
                f"stack: all shapes must be equal, tensor 0 has {first} and tensor {position} "
                f"{item.shape}"
            )
    place = canonical_dim("stack", dim, len(first) + 1)
    return _join("stack", [unsqueeze(item, place) for item in tensors], place)


@public
def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """With a border of one value (default 0) around it.

    Arguments:
        pad: sizes of the border before and after, for the last dimension, then the one before it,
            and so on; a negative size cuts off.
        mode: only "constant".

    Raises RuntimeError for an odd number of sizes, more pairs than dimensions, or a size that cuts
    off more than there is; NotImplementedError for another mode.

    >>> import tinynn as tn
    >>> tn.nn.functional.pad(tn.tensor([1, 2]), (1, 2), value=9)
    tensor([9, 1, 2, 9, 9])
    """
    check_tensor("pad", input)
    if mode != "constant":
        raise NotImplementedError(f"pad: mode {mode!r} is not there; expected 'constant'")
    sizes = sizes_of("pad", (tuple(pad),))
    shape = input.shape
    if len(sizes) % 2 or len(sizes) > 2 * len(shape):
        raise RuntimeError(
            f"pad: pad must hold two sizes for each of up to {len(shape)} dimensions, got {sizes}"
        )
    untouched = (0,) * (len(shape) - len(sizes) // 2)
    before, after = untouched + sizes[::2][::-1], untouched + sizes[1::2][::-1]
    if any(low + size + high < 0 for low, size, high in zip(before, shape, after, strict=True)):
        raise RuntimeError(f"pad: {sizes} cuts off more than there is in shape {shape}")
    if min(sizes, default=0) < 0:
        kept = tuple(
            slice(max(-low, 0), max(size + min(high, 0), 0))
            for low, size, high in zip(before, shape, after, strict=True)
        )
        input = slice_of(input, kept)
        before, after = (tuple(max(size, 0) for size in part) for part in (before, after))
    attributes = {"before": before, "after": after, "value": 0 if value is None else value}
    return apply(PAD, (input,), attributes)


def _sequence(name: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors as a list; there must be one or more."""
    if isinstance(tensors, Tensor):
        raise TypeError(f"{name}: expected a list or tuple of tensors, got one tensor")
    items = list(tensors)
    if not items:
        raise RuntimeError(f"{name}: expected one or more tensors, got none")
    for position, item in enumerate(items):
        check_tensor(name, item, f"tensor {position}")
    return items


def _join(name: str, tensors: Sequence[Tensor], dim: int) -> Tensor:
    items = _sequence(name, tensors)
    # PyTorch lets an empty tensor of one dimension stand beside tensors of any shape.
    first = next((item.shape for item in items if item.shape != (0,)), (0,))
    if not first:
        raise RuntimeError(f"{name}: tensors of no dimensions cannot be joined; use stack")
    dim = canonical_dim(name, dim, len(first))
    dtype = items[0].data.dtype
    for item in items:
        dtype = promote(dtype, item.data.dtype)
        if item.shape != (0,) and without(item.shape, (dim,)) != without(first, (dim,)):
            raise RuntimeError(
                f"{name}: sizes must be equal except in dim {dim}, got {first} and {item.shape}"
            )
    nothing = (*first[:dim], 0, *first[dim + 1 :])
    parts = [reshape(item, nothing) if item.shape == (0,) else item for item in items]
    parts = [to(item, dtype=dtype) for item in parts]
    offsets = [0]
    for item in parts:
        offsets.append(offsets[-1] + item.shape[dim])
    return apply(CAT, parts, {"dim": dim, "offsets": tuple(offsets)})

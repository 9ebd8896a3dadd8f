"""Other shapes for the same elements: reshaped, permuted, expanded, flipped, rolled."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tinynn.backend.devices import array_module
from tinynn.ops.dims import canonical_dim, canonical_dims, check_tensor, sizes_of, without
from tinynn.ops.registry import apply, declare, public

if TYPE_CHECKING:
    from tinynn.autograd.tensor import Tensor
    from tinynn.ops.dims import Shape

RESHAPE = declare(
    "reshape",
    lambda xp, x, *, shape: x.reshape(shape),
    saves=("x.shape",),
    vjps=(lambda F, g, before, *, shape: F.reshape(g, shape=before),),
    borrows=True,
    views=True,
)

PERMUTE = declare(
    "permute",
    lambda xp, x, *, dims: x.transpose(dims),
    vjps=(lambda F, g, *, dims: F.permute(g, dims=tuple(map(dims.index, range(len(dims))))),),
    borrows=True,
    views=True,
)

EXPAND = declare(
    "expand",
    lambda xp, x, *, shape: xp.broadcast_to(x, shape),
    vjps=(lambda F, g, *, shape: g,),
    broadcasts=True,
    borrows=True,
    views=True,
)

FLIP = declare(
    "flip",
    lambda xp, x, *, dims: xp.flip(x, axis=dims).copy(),
    vjps=(lambda F, g, *, dims: F.flip(g, dims=dims),),
)

ROLL = declare(
    "roll",
    lambda xp, x, *, shifts, dims: xp.roll(x, shifts, axis=dims),
    vjps=(
        lambda F, g, *, shifts, dims: F.roll(
            g, shifts=tuple(-shift for shift in shifts), dims=dims
        ),
    ),
)


@public
def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The elements, in order, in another shape; one size may be -1, which is worked out.

    Shares memory where the layout allows it. Raises RuntimeError where the number of elements is
    another.

    >>> import tinynn as tn
    >>> tn.reshape(tn.tensor([1, 2, 3, 4]), (2, -1))
    tensor([[1, 2],
            [3, 4]])
    """
    check_tensor("reshape", input)
    return apply(RESHAPE, (input,), {"shape": _fitting("reshape", input, shape)})


@public
def view(input: Tensor, *shape: Any) -> Tensor:
    """As `reshape`, but always of the same memory.

    Raises RuntimeError where that is not possible: the dimensions lie in another order in memory.

    >>> import tinynn as tn
    >>> x = tn.zeros(2, 2)
    >>> x.view(4)[0] = 1
    >>> x[0, 0]
    tensor(1.)
    """
    check_tensor("view", input)
    result = apply(RESHAPE, (input,), {"shape": _fitting("view", input, shape)})
    if result.data.size and not array_module(input.data).may_share_memory(result.data, input.data):
        raise RuntimeError(
            f"view: shape {input.shape} as it lies in memory (strides {input.data.strides} bytes) "
            f"is no view in shape {result.shape}; use reshape"
        )
    return result


@public
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from start_dim to end_dim, both included, as one.

    Raises IndexError for a dimension out of range, RuntimeError where the two are the wrong way
    round.

    >>> import tinynn as tn
    >>> tn.flatten(tn.zeros(2, 3, 4), start_dim=1).shape
    (2, 12)
    """
    check_tensor("flatten", input)
    shape = input.shape
    first = canonical_dim("flatten", start_dim, len(shape))
    last = canonical_dim("flatten", end_dim, len(shape))
    if first > last:
        raise RuntimeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    joined = math.prod(shape[first : last + 1])
    return reshape(input, (*shape[:first], joined, *shape[last + 1 :]))


@public
def permute(input: Tensor, *dims: Any) -> Tensor:
    """The dimensions in another order; a view.

    Raises RuntimeError where dims does not name each dimension once, IndexError out of range.

    >>> import tinynn as tn
    >>> tn.permute(tn.zeros(2, 3, 4), (2, 0, 1)).shape
    (4, 2, 3)
    """
    check_tensor("permute", input)
    given = sizes_of("permute", dims)
    ndim = input.data.ndim
    order = tuple(canonical_dim("permute", dim, ndim) for dim in given)
    if sorted(order) != list(range(ndim)):
        raise RuntimeError(
            f"permute: dims must name each of the {ndim} dimensions once, got {given}"
        )
    return apply(PERMUTE, (input,), {"dims": order})


@public
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged; a view. Raises IndexError for a dimension out of range.

    >>> import tinynn as tn
    >>> tn.transpose(tn.tensor([[1, 2], [3, 4]]), 0, 1)
    tensor([[1, 3],
            [2, 4]])
    """
    check_tensor("transpose", input)
    ndim = input.data.ndim
    first, second = canonical_dim("transpose", dim0, ndim), canonical_dim("transpose", dim1, ndim)
    order = list(range(ndim))
    if ndim:
        order[first], order[second] = second, first
    return apply(PERMUTE, (input,), {"dims": tuple(order)})


def t(input: Tensor) -> Tensor:
    """A matrix transposed; fewer dimensions stay as they are.

    >>> import tinynn as tn
    >>> tn.zeros(2, 3).t().shape
    (3, 2)
    """
    if input.data.ndim > 2:
        raise RuntimeError(
            f"t: needs at most two dimensions, this tensor has {input.ndim}; use .mT"
        )
    return reverse_dims(input)


@public
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Some dimensions moved to other places, the rest in order; a view.

    Raises RuntimeError where source and destination differ in number or repeat a dimension.

    >>> import tinynn as tn
    >>> tn.movedim(tn.zeros(2, 3, 4), 0, -1).shape
    (3, 4, 2)
    """
    check_tensor("movedim", input)
    ndim = input.data.ndim
    sources, places = (
        [canonical_dim("movedim", dim, ndim) for dim in sizes_of("movedim", (dims,))]
        for dims in (source, destination)
    )
    if len(set(sources)) != len(sources) or sorted(set(places)) != sorted(places):
        raise RuntimeError(f"movedim: a dimension comes twice in {source} or {destination}")
    if len(sources) != len(places):
        raise RuntimeError(f"movedim: {source} and {destination} differ in number")
    rest = iter(dim for dim in range(ndim) if dim not in sources)
    target = dict(zip(places, sources, strict=True))
    order = tuple(target[dim] if dim in target else next(rest) for dim in range(ndim))
    return apply(PERMUTE, (input,), {"dims": order})


def reverse_dims(input: Tensor) -> Tensor:
    """`tensor.T`: the dimensions in reverse order.

    >>> import tinynn as tn
    >>> tn.zeros(2, 3).T.shape
    (3, 2)
    """
    return apply(PERMUTE, (input,), {"dims": tuple(reversed(range(input.data.ndim)))})


def matrix_transpose(input: Tensor) -> Tensor:
    """`tensor.mT`: the last two dimensions exchanged.

    >>> import tinynn as tn
    >>> tn.zeros(5, 2, 3).mT.shape
    (5, 3, 2)
    """
    if input.data.ndim < 2:
        raise RuntimeError(f"mT: needs two or more dimensions, this tensor has {input.ndim}")
    return transpose(input, -2, -1)


@public
def expand(input: Tensor, *sizes: Any) -> Tensor:
    """Dimensions of size 1 repeated, and new ones in front, without copying; -1 keeps a size.

    Raises RuntimeError where a size that is not 1 would change.

    >>> import tinynn as tn
    >>> tn.expand(tn.tensor([[1], [2]]), -1, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    check_tensor("expand", input)
    return apply(EXPAND, (input,), {"shape": _expanded("expand", input, sizes)})


@public
def broadcast_to(input: Tensor, size: Any) -> Tensor:
    """`expand` to a shape given as one tuple.

    >>> import tinynn as tn
    >>> tn.broadcast_to(tn.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    check_tensor("broadcast_to", input)
    return apply(EXPAND, (input,), {"shape": _expanded("broadcast_to", input, (size,))})


@public
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """Without the dimensions of size 1: all, or those given that are so; a view.

    Raises IndexError for a dimension out of range.

    >>> import tinynn as tn
    >>> tn.squeeze(tn.zeros(1, 3, 1)).shape, tn.squeeze(tn.zeros(1, 3, 1), 0).shape
    ((3,), (3, 1))
    """
    check_tensor("squeeze", input)
    shape = input.shape
    dims = () if dim == () else canonical_dims("squeeze", dim, len(shape))
    gone = [d for d in dims if shape[d] == 1]
    return apply(RESHAPE, (input,), {"shape": without(shape, gone)})


@public
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a dimension of size 1 put in at `dim`; a view. Raises IndexError out of range.

    >>> import tinynn as tn
    >>> tn.unsqueeze(tn.tensor([1, 2]), 1)
    tensor([[1],
            [2]])
    """
    check_tensor("unsqueeze", input)
    shape = input.shape
    place = canonical_dim("unsqueeze", dim, len(shape) + 1)
    return apply(RESHAPE, (input,), {"shape": (*shape[:place], 1, *shape[place:])})


@public
def flip(input: Tensor, *dims: Any) -> Tensor:
    """Some dimensions in reverse order; a copy, as in PyTorch.

    Raises IndexError for a dimension out of range, RuntimeError for one that comes twice.

    >>> import tinynn as tn
    >>> tn.flip(tn.tensor([[1, 2], [3, 4]]), (1,))
    tensor([[2, 1],
            [4, 3]])
    """
    check_tensor("flip", input)
    given = sizes_of("flip", dims)
    order = canonical_dims("flip", given, input.data.ndim) if given else ()
    return apply(FLIP, (input,), {"dims": order})


@public
def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Shifted along dimensions, what falls off the end put in at the start.

    Without dims the tensor is flattened, rolled, and put back in shape. Raises RuntimeError where
    shifts and dims differ in number, IndexError for a dimension out of range.

    >>> import tinynn as tn
    >>> tn.roll(tn.tensor([1, 2, 3]), 1)
    tensor([3, 1, 2])
    """
    check_tensor("roll", input)
    amounts = sizes_of("roll", (shifts,))
    if dims is None:
        if len(amounts) != 1:
            raise RuntimeError(f"roll: without dims there must be one shift, got {amounts}")
        rolled = apply(ROLL, (reshape(input, -1),), {"shifts": amounts, "dims": (0,)})
        return reshape(rolled, input.shape)
    places = tuple(canonical_dim("roll", dim, input.data.ndim) for dim in sizes_of("roll", (dims,)))
    if len(places) != len(amounts):
        raise RuntimeError(f"roll: there are {len(amounts)} shifts for {len(places)} dims")
    if not input.data.ndim:
        raise IndexError("roll: a tensor of no dimensions has none to roll along")
    return apply(ROLL, (input,), {"shifts": amounts, "dims": places})


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """`view` in the shape of another tensor.

    >>> import tinynn as tn
    >>> tn.zeros(6).view_as(tn.zeros(2, 3)).shape
    (2, 3)
    """
    return view(input, other.shape)


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """`expand` to the shape of another tensor.

    >>> import tinynn as tn
    >>> tn.zeros(3).expand_as(tn.zeros(2, 3)).shape
    (2, 3)
    """
    return expand(input, other.shape)


def _fitting(name: str, input: Tensor, sizes: tuple[Any, ...]) -> Shape:
    """A shape for the tensor's elements, with a size of -1 worked out."""
    shape, count = sizes_of(name, sizes), input.data.size
    known = math.prod(size for size in shape if size != -1)
    unknown = shape.count(-1)
    fits = known == count if not unknown else unknown == 1 and known > 0 and count % known == 0
    if not fits or min(shape, default=0) < -1:
        raise RuntimeError(
            f"{name}: shape {shape} does not fit the {count} elements of shape {input.shape}"
        )
    return tuple(count // known if size == -1 else size for size in shape)


def _expanded(name: str, input: Tensor, sizes: tuple[Any, ...]) -> Shape:
    """The shape that a tensor expands to."""
    wanted, shape = sizes_of(name, sizes), input.shape
    added = len(wanted) - len(shape)
    padded = (*(-2,) * max(added, 0), *shape)
    if added < 0 or any(
        size < (0 if old == -2 else -1) or (size not in (-1, old) and old not in (1, -2))
        for size, old in zip(wanted, padded, strict=True)
    ):
        raise RuntimeError(f"{name}: shape {shape} does not expand to {wanted}")
    return tuple(old if size == -1 else size for size, old in zip(wanted, padded, strict=True))

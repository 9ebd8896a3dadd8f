"""The largest and smallest elements, and where they are."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from tinynn.autograd.tensor import Tensor
from tinynn.ops.choice import maximum, minimum
from tinynn.ops.dims import canonical_dim, canonical_dims, check_tensor
from tinynn.ops.gathering import take_along_dim
from tinynn.ops.reduction import spread
from tinynn.ops.registry import apply, declare, public
from tinynn.ops.shape import squeeze

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinynn.autograd.operation import Operation
    from tinynn.ops.dims import Dims


def _extreme_vjp(F: Any, g: Any, x: Any, out: Any, *, dim: tuple[int, ...], keepdim: bool) -> Any:
    """Elements that tie for the extreme get equal parts."""
    ties = x == spread(F, out, x.shape, dim, keepdim)
    ties = F.cast(ties, dtype=x.dtype)
    count = F.sum(ties, dim=dim or None, keepdim=True)
    return spread(F, g, x.shape, dim, keepdim) * ties / count


AMAX = declare(
    "amax",
    lambda xp, x, *, dim, keepdim: x.max(axis=dim or None, keepdims=keepdim),
    saves=("x", "out"),
    vjps=(_extreme_vjp,),
)

AMIN = declare(
    "amin",
    lambda xp, x, *, dim, keepdim: x.min(axis=dim or None, keepdims=keepdim),
    saves=("x", "out"),
    vjps=(_extreme_vjp,),
)

ARGMAX = declare(
    "argmax",
    lambda xp, x, *, dim, keepdim: x.argmax(axis=dim, keepdims=keepdim),
    differentiable=False,
)

ARGMIN = declare(
    "argmin",
    lambda xp, x, *, dim, keepdim: x.argmin(axis=dim, keepdims=keepdim),
    differentiable=False,
)


class ValuesAndIndices(tuple[Tensor, Tensor]):
    """The pair that a reduction over one dimension gives: the values, and where they were."""

    __slots__ = ()

    values: Tensor = property(itemgetter(0))  # type: ignore[assignment]
    indices: Tensor = property(itemgetter(1))  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"(values={self.values!r}, indices={self.indices!r})"


@public
def amax(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """The largest element, of all or over some dimensions; ties share the gradient equally.

    Raises RuntimeError or IndexError where there is no element to choose, and as `sum`.

    >>> import tinynn as tn
    >>> tn.amax(tn.tensor([[1, 5], [3, 4]]), dim=1)
    tensor([5, 4])
    """
    return apply(AMAX, (input,), _extreme("amax", input, dim, keepdim))


@public
def amin(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """The smallest element, of all or over some dimensions; ties share the gradient equally.

    Raises RuntimeError or IndexError where there is no element to choose, and as `sum`.

    >>> import tinynn as tn
    >>> tn.amin(tn.tensor([[1, 5], [3, 4]]), dim=1)
    tensor([1, 3])
    """
    return apply(AMIN, (input,), _extreme("amin", input, dim, keepdim))


@public
def max(
    input: Tensor,
    dim: int | Tensor | None = None,
    keepdim: bool = False,
    *,
    other: Tensor | None = None,
) -> Any:
    """The largest element; with `dim` a pair (values, indices); with a tensor, `maximum`.

    Of equal elements, all share the gradient where there is no `dim`; with it the first is chosen.
    Raises as `amax`.

    >>> import tinynn as tn
    >>> x = tn.tensor([[1.0, 5.0], [4.0, 3.0]])
    >>> tn.max(x)
    tensor(5.)
    >>> values, indices = tn.max(x, dim=1)
    >>> indices
    tensor([1, 0])
    """
    if isinstance(dim, Tensor):
        return maximum(input, dim)
    if other is not None:
        return maximum(input, other)
    if dim is None:
        return apply(AMAX, (input,), _extreme("max", input, None, keepdim))
    return _chosen(argmax, "max", input, dim, keepdim)


@public
def min(
    input: Tensor,
    dim: int | Tensor | None = None,
    keepdim: bool = False,
    *,
    other: Tensor | None = None,
) -> Any:
    """The smallest element; with `dim` a pair (values, indices); with a tensor, `minimum`.

    Of equal elements, all share the gradient where there is no `dim`; with it the first is chosen.
    Raises as `amin`.

    >>> import tinynn as tn
    >>> tn.min(tn.tensor([[1.0, 5.0], [3.0, 4.0]]), dim=0).values
    tensor([1., 4.])
    """
    if isinstance(dim, Tensor):
        return minimum(input, dim)
    if other is not None:
        return minimum(input, other)
    if dim is None:
        return apply(AMIN, (input,), _extreme("min", input, None, keepdim))
    return _chosen(argmin, "min", input, dim, keepdim)


@public
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the first largest element is, as int64: in the flattened tensor, or along dim.

    Raises IndexError where there is no element to choose or dim is out of range.

    >>> import tinynn as tn
    >>> tn.argmax(tn.tensor([[1, 5], [4, 3]]), dim=1)
    tensor([1, 0])
    """
    return _position(ARGMAX, input, dim, keepdim)


@public
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the first smallest element is, as int64: in the flattened tensor, or along dim.

    Raises IndexError where there is no element to choose or dim is out of range.

    >>> import tinynn as tn
    >>> tn.argmin(tn.tensor([[1, 5], [3, 4]]))
    tensor(0)
    """
    return _position(ARGMIN, input, dim, keepdim)


def _extreme(name: str, input: Tensor, dim: Dims, keepdim: bool) -> dict[str, Any]:
    """The attributes of a maximum or minimum, of at least one element."""
    check_tensor(name, input)
    dims = canonical_dims(name, dim, input.data.ndim)
    _check_choice(name, input, dims, everything=dim is None or dim == ())
    return {"dim": dims, "keepdim": keepdim}


def _check_choice(name: str, input: Tensor, dims: tuple[int, ...], everything: bool) -> None:
    if everything and not input.data.size:
        raise (IndexError if name.startswith("arg") else RuntimeError)(
            f"{name}: there is no element to choose in a tensor of shape {input.shape}"
        )
    for dim in dims:
        if input.data.shape[dim] == 0:
            raise IndexError(
                f"{name}: there is no element to choose along dim {dim} of shape {input.shape}"
            )


def _position(operation: Operation, input: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    name = operation.name
    check_tensor(name, input)
    ndim = input.data.ndim
    dims = tuple(range(ndim)) if dim is None else (canonical_dim(name, dim, ndim),) * bool(ndim)
    _check_choice(name, input, dims, everything=dim is None)
    axis = None if dim is None or not ndim else dims[0]
    return apply(operation, (input,), {"dim": axis, "keepdim": keepdim})


def _chosen(
    position: Callable[..., Tensor], name: str, input: Tensor, dim: int, keepdim: bool
) -> ValuesAndIndices:
    """The values and indices of the elements chosen along dim."""
    check_tensor(name, input)
    dim = canonical_dim(name, dim, input.data.ndim)
    dims = (dim,) if input.data.ndim else ()
    _check_choice(name, input, dims, everything=False)
    indices = position(input, dim, keepdim=True)
    values = take_along_dim(input, indices, dim)
    if not keepdim:
        values, indices = squeeze(values, dims), squeeze(indices, dims)
    return ValuesAndIndices((values, indices))

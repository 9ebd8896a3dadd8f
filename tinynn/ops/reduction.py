"""Reductions: one number, or one dimension less, from many; and running sums."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tinynn.backend.dtypes import float32, int64, is_floating, is_half
from tinynn.ops.conversion import to
from tinynn.ops.dims import canonical_dim, canonical_dims, check_tensor, with_ones
from tinynn.ops.registry import apply, declare, public
from tinynn.ops.shape import reshape

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinynn.autograd.tensor import Tensor
    from tinynn.backend.dtypes import DTypeLike
    from tinynn.ops.dims import Dims, Shape


def spread(F: Any, g: Any, shape: Shape, dim: tuple[int, ...], keepdim: bool) -> Any:
    """What a reduction gave, in the shape from before it."""
    if not keepdim and g.shape:
        g = F.reshape(g, shape=with_ones(shape, dim))
    return F.expand(g, shape=shape)


def _accumulate(method: str) -> Callable[..., Any]:
    """A sum or product: 16-bit floats add up in float32, bools and integers in int64."""

    def forward(xp: Any, x: Any, *, dim: Any, keepdim: bool) -> Any:
        reduce = getattr(x, method)
        if x.dtype.char in "fd":
            return reduce(axis=dim, keepdims=keepdim)
        if is_half(x.dtype):
            return reduce(axis=dim, keepdims=keepdim, dtype=float32).astype(x.dtype)
        return reduce(axis=dim, keepdims=keepdim, dtype=int64)

    return forward


def _mean(xp: Any, x: Any, *, dim: tuple[int, ...], keepdim: bool, count: int) -> Any:
    dtype = float32 if is_half(x.dtype) else x.dtype
    total = x.sum(axis=dim or None, keepdims=keepdim, dtype=dtype)
    mean = total / count if count else total * math.nan
    return mean if dtype == x.dtype else mean.astype(x.dtype)


def _var(
    xp: Any, x: Any, *, dim: tuple[int, ...], keepdim: bool, count: int, freedom: float
) -> Any:
    wide = x.astype(float32) if is_half(x.dtype) else x
    centred = wide - _mean(xp, wide, dim=dim, keepdim=True, count=count)
    total = (centred * centred).sum(axis=dim or None, keepdims=keepdim)
    return (total / freedom).astype(x.dtype)


def _var_vjp(
    F: Any, g: Any, x: Any, *, dim: tuple[int, ...], keepdim: bool, count: int, freedom: float
) -> Any:
    centred = x - F.mean(x, dim=dim, keepdim=True, count=count)
    slope = 2 / freedom if freedom else math.nan
    return spread(F, g * slope, x.shape, dim, keepdim) * centred


def _std_vjp(F: Any, g: Any, x: Any, out: Any, **attributes: Any) -> Any:
    # The slope of the root is infinite at 0, where PyTorch takes 0 instead.
    return _var_vjp(F, g / (2 * F.where(out == 0, math.inf, out)), x, **attributes)


def _logsumexp(xp: Any, x: Any, *, dim: tuple[int, ...], keepdim: bool) -> Any:
    wide = x.astype(float32) if is_half(x.dtype) else x
    axis = dim or None
    if x.size:
        largest = wide.max(axis=axis, keepdims=True)
        largest = xp.where(xp.isfinite(largest), largest, 0)
    else:
        largest = xp.zeros(with_ones(x.shape, dim), wide.dtype)
    total = xp.exp(wide - largest).sum(axis=axis, keepdims=True)
    result = (xp.log(total) + largest).astype(x.dtype)
    return result if keepdim else result.squeeze(axis=dim)


def _logsumexp_vjp(F: Any, g: Any, x: Any, out: Any, *, dim: tuple[int, ...], keepdim: bool) -> Any:
    # Where all are -inf their shares are 0, as those of -inf beside a finite number are.
    out = F.where(out == -math.inf, 0.0, out)
    return spread(F, g, x.shape, dim, keepdim) * F.exp(x - spread(F, out, x.shape, dim, keepdim))


def _cumsum(xp: Any, x: Any, *, dim: int) -> Any:
    if not x.ndim:
        return x.copy() if is_floating(x.dtype) else x.astype(int64)
    if is_half(x.dtype):
        return x.cumsum(axis=dim, dtype=float32).astype(x.dtype)
    return x.cumsum(axis=dim, dtype=x.dtype if is_floating(x.dtype) else int64)


def _cumsum_vjp(F: Any, g: Any, *, dim: int) -> Any:
    if not g.shape:
        return g
    return F.flip(F.cumsum(F.flip(g, dims=(dim,)), dim=dim), dims=(dim,))


def _prod_vjp(F: Any, g: Any, x: Any, *, dim: int, keepdim: bool) -> Any:
    return spread(F, g, x.shape, (dim,), keepdim) * F.products_of_others(x, dim=dim)


def _products_of_others(xp: Any, x: Any, *, dim: int) -> Any:
    """For each element the product of all others along dim, right also where some are 0."""
    x = xp.moveaxis(x, dim, -1)
    before, after = xp.ones_like(x), xp.ones_like(x)
    before[..., 1:] = x[..., :-1].cumprod(axis=-1)
    after[..., :-1] = x[..., :0:-1].cumprod(axis=-1)[..., ::-1]
    return xp.moveaxis(before * after, -1, dim)


def _products_of_others_vjp(F: Any, g: Any, x: Any, *, dim: int) -> Any:
    """Sums over i of g[i] times the product without the elements i and k, for each k."""
    ndim = len(x.shape)
    last = (*(d for d in range(ndim) if d != dim), dim)
    back = tuple(sorted(range(ndim), key=last.__getitem__))
    x, g = F.permute(x, dims=last), F.permute(g, dims=last)
    *batch, count = x.shape
    rows = F.expand(F.reshape(x, shape=(*batch, 1, count)), shape=(*batch, count, count))
    without_one = F.fill_diagonal(rows, value=1)
    without_two = F.fill_diagonal(F.products_of_others(without_one, dim=ndim), value=0)
    weighted = F.reshape(g, shape=(*batch, count, 1)) * without_two
    return F.permute(F.sum(weighted, dim=(ndim - 1,), keepdim=False), dims=back)


SUM = declare(
    "sum",
    _accumulate("sum"),
    saves=("x.shape",),
    vjps=(lambda F, g, shape, *, dim, keepdim: spread(F, g, shape, dim or (), keepdim),),
    borrows=True,
)

MEAN = declare(
    "mean",
    _mean,
    saves=("x.shape",),
    vjps=(
        lambda F, g, shape, *, dim, keepdim, count: spread(
            F, g / (count or 1), shape, dim, keepdim
        ),
    ),
    borrows=True,
)

VAR = declare("var", _var, saves=("x",), vjps=(_var_vjp,), quiet=True)

STD = declare(
    "std",
    lambda xp, x, **attributes: xp.sqrt(_var(xp, x, **attributes)),
    saves=("x", "out"),
    vjps=(_std_vjp,),
    quiet=True,
)

LOGSUMEXP = declare(
    "logsumexp",
    _logsumexp,
    saves=("x", "out"),
    vjps=(_logsumexp_vjp,),
    promotes="float",
    quiet=True,
)

CUMSUM = declare("cumsum", _cumsum, vjps=(_cumsum_vjp,), borrows=True)

PROD = declare("prod", _accumulate("prod"), saves=("x",), vjps=(_prod_vjp,))

PRODUCTS_OF_OTHERS = declare(
    "products_of_others", _products_of_others, saves=("x",), vjps=(_products_of_others_vjp,)
)

FILL_DIAGONAL = declare(
    "fill_diagonal",
    lambda xp, x, *, value: xp.where(xp.eye(x.shape[-1], dtype=bool), value, x),
    vjps=(lambda F, g, *, value: F.fill_diagonal(g, value=0),),
)


@public
def sum(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DTypeLike | None = None
) -> Tensor:
    """The sum of all elements, or over some dimensions; bools and integers give int64.

    Raises IndexError for a dimension out of range, RuntimeError for one that comes twice.

    >>> import tinynn as tn
    >>> tn.sum(tn.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    tensor([4., 6.])
    """
    check_tensor("sum", input)
    dims = canonical_dims("sum", dim, input.data.ndim) or None
    return apply(SUM, (_as(input, dtype),), {"dim": dims, "keepdim": keepdim})


@public
def mean(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DTypeLike | None = None
) -> Tensor:
    """The mean of all elements, or over some dimensions; that of none is nan.

    Raises RuntimeError for bools and integers (pass `dtype`), and as `sum`.

    >>> import tinynn as tn
    >>> tn.mean(tn.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=1, keepdim=True)
    tensor([[1.5000],
            [3.5000]])
    """
    check_tensor("mean", input)
    input = _as(input, dtype)
    _check_float("mean", input)
    dims = canonical_dims("mean", dim, input.data.ndim)
    count = _count(input, dims)
    return apply(MEAN, (input,), {"dim": dims, "keepdim": keepdim, "count": count})


@public
def var(
    input: Tensor,
    dim: Dims | bool = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The variance: squared distances from the mean, summed, over (count - correction).

    Arguments:
        unbiased: the correction is 1 if so, else 0, unless it is given.
        correction: 1 estimates the variance of what the elements were drawn from, 0 is their own.

    Raises RuntimeError for bools and integers, and as `sum`.

    >>> import tinynn as tn
    >>> x = tn.tensor([1.0, 2.0, 3.0])
    >>> tn.var(x), tn.var(x, correction=0)
    (tensor(1.), tensor(0.6667))
    """
    return apply(VAR, (input,), _variance("var", input, dim, unbiased, keepdim, correction))


@public
def std(
    input: Tensor,
    dim: Dims | bool = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """The standard deviation, the root of `var`; where it is 0, its gradient is 0.

    >>> import tinynn as tn
    >>> tn.std(tn.tensor([1.0, 2.0, 3.0]))
    tensor(1.)
    """
    return apply(STD, (input,), _variance("std", input, dim, unbiased, keepdim, correction))


@public
def logsumexp(input: Tensor, dim: Dims, keepdim: bool = False) -> Tensor:
    """log(sum(exp(input))) over some dimensions, without overflow; integers give float32.

    All -inf, or no elements, give -inf, with a gradient of 0. Raises as `sum`.

    >>> import tinynn as tn
    >>> tn.logsumexp(tn.tensor([1000.0, 1000.0]), dim=0)
    tensor(1000.6932)
    """
    check_tensor("logsumexp", input)
    dims = canonical_dims("logsumexp", dim, input.data.ndim)
    return apply(LOGSUMEXP, (input,), {"dim": dims, "keepdim": keepdim})


@public
def cumsum(input: Tensor, dim: int, *, dtype: DTypeLike | None = None) -> Tensor:
    """The sums of the elements up to and including each, along dim; integers give int64.

    Raises IndexError for a dimension out of range.

    >>> import tinynn as tn
    >>> tn.cumsum(tn.tensor([1, 2, 3]), dim=0)
    tensor([1, 3, 6])
    """
    check_tensor("cumsum", input)
    dim = canonical_dim("cumsum", dim, input.data.ndim)
    return apply(CUMSUM, (_as(input, dtype),), {"dim": dim})


@public
def prod(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: DTypeLike | None = None
) -> Tensor:
    """The product of all elements, or along dim; bools and integers give int64.

    Raises IndexError for a dimension out of range.

    >>> import tinynn as tn
    >>> tn.prod(tn.tensor([[1, 2], [3, 4]]), dim=1)
    tensor([ 2, 12])
    """
    check_tensor("prod", input)
    input = _as(input, dtype)
    if dim is None or not input.data.ndim:
        canonical_dim("prod", dim or 0, input.data.ndim)
        flat = apply(PROD, (reshape(input, -1),), {"dim": 0, "keepdim": False})
        return reshape(flat, (1,) * input.data.ndim) if keepdim else flat
    dim = canonical_dim("prod", dim, input.data.ndim)
    return apply(PROD, (input,), {"dim": dim, "keepdim": keepdim})


def _as(input: Tensor, dtype: DTypeLike | None) -> Tensor:
    return input if dtype is None else to(input, dtype=dtype)


def _count(input: Tensor, dims: tuple[int, ...]) -> int:
    """How many elements are reduced to one."""
    return math.prod(input.data.shape[dim] for dim in dims)


def _check_float(name: str, input: Tensor) -> None:
    if not is_floating(input.data.dtype):
        raise RuntimeError(
            f"{name}: input must be floats, got {input.data.dtype}; convert it with .float()"
        )


def _variance(
    name: str,
    input: Tensor,
    dim: Dims | bool,
    unbiased: bool,
    keepdim: bool,
    correction: float | None,
) -> dict[str, Any]:
    """The attributes of a variance."""
    check_tensor(name, input)
    _check_float(name, input)
    if isinstance(dim, bool):  # var(input, unbiased), an older form
        unbiased, dim = dim, None
    dims = canonical_dims(name, dim, input.data.ndim)
    count = _count(input, dims)
    freedom = count - (float(unbiased) if correction is None else correction)
    return {
        "dim": dims,
        "keepdim": keepdim,
        "count": count,
        "freedom": freedom if freedom > 0 else 0.0,
    }

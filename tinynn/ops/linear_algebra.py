"""Products of matrices and vectors, and the triangles of a matrix."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tinynn.backend.dtypes import float32, is_half
from tinynn.ops.arithmetic import mul
from tinynn.ops.dims import check_tensor
from tinynn.ops.registry import apply, declare, public
from tinynn.ops.shape import reshape, unsqueeze

if TYPE_CHECKING:
    from tinynn.autograd import Tensor


def product(xp: Any, a: Any, b: Any) -> Any:
    """a @ b. 16-bit floats are multiplied as float32: NumPy has no fast product of them, and sums
    of many terms would lose their digits."""
    if is_half(a.dtype):
        return xp.matmul(a.astype(float32), b.astype(float32)).astype(a.dtype)
    return xp.matmul(a, b)


def swapped(F: Any, x: Any) -> Any:
    """The matrices in the last two dimensions, transposed."""
    ndim = len(x.shape)
    return F.permute(x, dims=(*range(ndim - 2), ndim - 1, ndim - 2))


# On matrices and stacks of them; `matmul` makes matrices of vectors. Broadcasting of the dimensions
# in front is undone with that of every other operation.
MATMUL = declare(
    "matmul",
    product,
    saves=("a", "b"),
    vjps=(
        lambda F, g, a, b: F.matmul(g, swapped(F, b)),
        lambda F, g, a, b: F.matmul(swapped(F, a), g),
    ),
    broadcasts=True,
    quiet=True,
)
TRIL = declare(
    "tril",
    lambda xp, x, *, diagonal: xp.tril(x, diagonal),
    vjps=(lambda F, g, *, diagonal: F.tril(g, diagonal=diagonal),),
)
TRIU = declare(
    "triu",
    lambda xp, x, *, diagonal: xp.triu(x, diagonal),
    vjps=(lambda F, g, *, diagonal: F.triu(g, diagonal=diagonal),),
)


@public
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product, also of vectors and of stacks of matrices, with the shapes of NumPy's.

        (n,) (n,) -> ()         (m, n) (n,) -> (m,)          (n,) (n, k) -> (k,)
        (m, n) (n, k) -> (m, k)      (..., m, n) (..., n, k) -> (..., m, k), "..." broadcast

    Both have one dtype. Products of 16-bit floats are computed in float32.

    Raises RuntimeError for tensors without dimensions, of two dtypes or of shapes that do not fit.

    >>> import tinynn as tn
    >>> tn.matmul(tn.tensor([[1.0, 2.0], [3.0, 4.0]]), tn.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    check_tensor("matmul", input)
    check_tensor("matmul", other, "other")
    left, right = input.data, other.data
    if not left.ndim or not right.ndim:
        raise RuntimeError(
            f"matmul: both tensors need a dimension, got shapes {left.shape} and {right.shape}; "
            "multiply by a number with *"
        )
    check_same_dtype("matmul", input=input, other=other)
    if left.shape[-1] != right.shape[max(right.ndim - 2, 0)]:
        raise RuntimeError(
            f"matmul: shapes {left.shape} and {right.shape} do not fit: the last dimension of "
            f"input ({left.shape[-1]}) must equal the "
            f"{'last but one' if right.ndim > 1 else 'only one'} of other "
            f"({right.shape[max(right.ndim - 2, 0)]})"
        )
    if right.ndim <= 2 < left.ndim:  # one product of all rows
        folded = reshape(input, (math.prod(left.shape[:-1]), left.shape[-1]))
        return reshape(matmul(folded, other), (*left.shape[:-1], *right.shape[1:]))
    if left.ndim > 1 and right.ndim > 1:
        return apply(MATMUL, (input, other))
    result = apply(
        MATMUL,
        (
            unsqueeze(input, 0) if left.ndim == 1 else input,
            unsqueeze(other, 1) if right.ndim == 1 else other,
        ),
    )
    rows = left.shape[-2:-1] if left.ndim > 1 else right.shape[:-2]
    return reshape(result, (*rows, *(right.shape[-1:] if right.ndim > 1 else ())))


@public
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """The products of all pairs: (m,) and (n,) -> (m, n).

    Raises RuntimeError for anything but vectors.

    >>> import tinynn as tn
    >>> tn.outer(tn.tensor([1, 2]), tn.tensor([3, 4, 5]))
    tensor([[ 3,  4,  5],
            [ 6,  8, 10]])
    """
    for argument, vector in (("input", input), ("vec2", vec2)):
        check_tensor("outer", vector, argument)
        if vector.ndim != 1:
            raise RuntimeError(
                f"outer: {argument} must have 1 dimension, its shape is {vector.shape}"
            )
    return mul(unsqueeze(input, 1), vec2)


@public
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of matrices (..., rows, columns), zero above a diagonal.

    Arguments:
        diagonal: the last one that is kept; 0 is the main one, positive ones are above it.

    Raises RuntimeError for fewer than two dimensions.

    >>> import tinynn as tn
    >>> tn.tril(tn.ones(2, 3))
    tensor([[1., 0., 0.],
            [1., 1., 0.]])
    """
    _check_matrix("tril", input)
    return apply(TRIL, (input,), {"diagonal": diagonal})


@public
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of matrices (..., rows, columns), zero below a diagonal.

    Arguments:
        diagonal: the first one that is kept; 0 is the main one, positive ones are above it.

    Raises RuntimeError for fewer than two dimensions.

    >>> import tinynn as tn
    >>> tn.triu(tn.ones(2, 3), diagonal=1)
    tensor([[0., 1., 1.],
            [0., 0., 1.]])
    """
    _check_matrix("triu", input)
    return apply(TRIU, (input,), {"diagonal": diagonal})


def check_same_dtype(name: str, **tensors: Tensor | None) -> None:
    """RuntimeError, as of PyTorch's products, for tensors of several dtypes."""
    dtypes = {key: value.data.dtype for key, value in tensors.items() if value is not None}
    if len(set(dtypes.values())) > 1:
        listed = ", ".join(f"{key} {dtype}" for key, dtype in dtypes.items())
        raise RuntimeError(f"{name}: the tensors must have one dtype, got {listed}; use .to(dtype)")


def _check_matrix(name: str, input: Tensor) -> None:
    check_tensor(name, input)
    if input.ndim < 2:
        raise RuntimeError(
            f"{name}: input must have at least 2 dimensions, its shape is {input.shape}"
        )

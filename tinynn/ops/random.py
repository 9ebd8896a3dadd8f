"""Tensors of random numbers, drawn on the host, so that every device gets the same ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.autograd.tensor import Tensor
from tinynn.backend import recording
from tinynn.backend.devices import Device, transfer
from tinynn.backend.dtypes import DEFAULT_FLOAT, as_dtype, int64
from tinynn.backend.random import host_generator
from tinynn.ops.creation import shape_of
from tinynn.ops.like import beside

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinynn.backend.dtypes import DTypeLike


def _drawn(
    draw: Callable[[np.random.Generator], Any],
    dtype: DTypeLike | None,
    device: str | Device | None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of what a function draws; a replay of a recorded step draws it anew."""
    wanted = DEFAULT_FLOAT if dtype is None else as_dtype(dtype)
    place = Device("cpu" if device is None else device)

    def array() -> Any:
        numbers = np.asarray(draw(host_generator())).astype(wanted, copy=False)
        return transfer(numbers, place)

    return Tensor(recording.drawn(array), requires_grad)


def rand(
    *size: Any,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers evenly distributed in [0, 1).

    >>> rand(2, 3).shape
    (2, 3)
    """
    shape = shape_of("rand", size)
    return _drawn(lambda generator: generator.random(shape), dtype, device, requires_grad)


def randn(
    *size: Any,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from the normal distribution of mean 0 and variance 1.

    >>> randn(2, 3).shape
    (2, 3)
    """
    shape = shape_of("randn", size)
    return _drawn(lambda generator: generator.standard_normal(shape), dtype, device, requires_grad)


def rand_like(input: Tensor, *, dtype: DTypeLike | None = None, device: Any = None) -> Tensor:
    """`rand` in the shape, dtype and device of another tensor.

    >>> import tinynn as tn
    >>> rand_like(tn.zeros(2, 3)).shape
    (2, 3)
    """
    dtype, device = beside(input, dtype, device)
    return rand(input.shape, dtype=dtype, device=device)


def randn_like(input: Tensor, *, dtype: DTypeLike | None = None, device: Any = None) -> Tensor:
    """`randn` in the shape, dtype and device of another tensor.

    >>> import tinynn as tn
    >>> randn_like(tn.zeros(2, 3)).shape
    (2, 3)
    """
    dtype, device = beside(input, dtype, device)
    return randn(input.shape, dtype=dtype, device=device)


def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
) -> Tensor:
    """Integers from low up to, not including, high: `randint(low, high, size)`.

    With one bound, `randint(high, size)`, low is 0. Raises TypeError without a size, RuntimeError
    where there is no integer between the two.

    >>> bool((randint(3, (100,)) < 3).all())
    True
    """
    if size is None and isinstance(high, tuple | list):
        high, size = None, high
    if size is None:
        raise TypeError("randint: size is missing; give randint(low, high, (2, 3))")
    if high is None:
        low, high = 0, low
    if high <= low:
        raise RuntimeError(f"randint: high must be above low, got low={low}, high={high}")
    shape = shape_of("randint", (size,))
    return _drawn(
        lambda generator: generator.integers(low, high, shape),
        int64 if dtype is None else dtype,
        device,
    )


def randperm(n: int, *, device: str | Device | None = None) -> Tensor:
    """The numbers 0 to n - 1 in random order.

    >>> randperm(4).shape
    (4,)
    """
    return _drawn(lambda generator: generator.permutation(n), int64, device)

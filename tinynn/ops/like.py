"""Tensors made in the dtype, and on the device, of another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynn.ops.creation import empty, full, ones, tensor, zeros

if TYPE_CHECKING:
    from tinynn.autograd.tensor import Tensor
    from tinynn.backend.devices import Device
    from tinynn.backend.dtypes import DTypeLike
    from tinynn.ops.arithmetic import Operand
    from tinynn.ops.dims import Shape


def zeros_like(
    input: Tensor,
    *,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Zeros in the shape, dtype and device of another tensor.

    >>> zeros_like(tensor([1, 2]))
    tensor([0, 0])
    """
    dtype, device = beside(input, dtype, device)
    return zeros(input.shape, dtype=dtype, device=device, requires_grad=requires_grad)


def ones_like(
    input: Tensor,
    *,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones in the shape, dtype and device of another tensor.

    >>> ones_like(tensor([1.5, 2.5]))
    tensor([1., 1.])
    """
    dtype, device = beside(input, dtype, device)
    return ones(input.shape, dtype=dtype, device=device, requires_grad=requires_grad)


def empty_like(
    input: Tensor,
    *,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Memory, not initialised, in the shape, dtype and device of another tensor.

    >>> empty_like(zeros(2, 3)).shape
    (2, 3)
    """
    dtype, device = beside(input, dtype, device)
    return empty(input.shape, dtype=dtype, device=device, requires_grad=requires_grad)


def full_like(
    input: Tensor,
    fill_value: Operand,
    *,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """One value in the shape, dtype and device of another tensor.

    >>> full_like(tensor([1, 2]), 9)
    tensor([9, 9])
    """
    dtype, device = beside(input, dtype, device)
    return full(input.shape, fill_value, dtype=dtype, device=device, requires_grad=requires_grad)


def new_zeros(
    input: Tensor,
    *size: Any,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Zeros of a shape, in the dtype and on the device of this tensor.

    >>> tensor([1, 2]).new_zeros(3)
    tensor([0, 0, 0])
    """
    dtype, device = beside(input, dtype, device)
    return zeros(*size, dtype=dtype, device=device, requires_grad=requires_grad)


def new_ones(
    input: Tensor,
    *size: Any,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones of a shape, in the dtype and on the device of this tensor.

    >>> tensor([1, 2]).new_ones(3)
    tensor([1, 1, 1])
    """
    dtype, device = beside(input, dtype, device)
    return ones(*size, dtype=dtype, device=device, requires_grad=requires_grad)


def new_empty(
    input: Tensor,
    *size: Any,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Memory, not initialised, of a shape, in the dtype and on the device of this tensor.

    >>> tensor([1, 2]).new_empty(2, 3).shape
    (2, 3)
    """
    dtype, device = beside(input, dtype, device)
    return empty(*size, dtype=dtype, device=device, requires_grad=requires_grad)


def new_full(
    input: Tensor,
    size: Shape,
    fill_value: Operand,
    *,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """One value in a shape, in the dtype and on the device of this tensor.

    >>> tensor([1.0, 2.0]).new_full((3,), 5)
    tensor([5., 5., 5.])
    """
    dtype, device = beside(input, dtype, device)
    return full(size, fill_value, dtype=dtype, device=device, requires_grad=requires_grad)


def new_tensor(
    input: Tensor,
    data: Any,
    *,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor with a copy of the data, in the dtype and on the device of this tensor.

    >>> tensor([1.0, 2.0]).new_tensor([3, 4])
    tensor([3., 4.])
    """
    return tensor(data, *beside(input, dtype, device), requires_grad=requires_grad)


def beside(input: Tensor, dtype: DTypeLike | None, device: str | Device | None) -> tuple[Any, Any]:
    """A tensor's dtype and device where none are given."""
    return input.dtype if dtype is None else dtype, input.device if device is None else device

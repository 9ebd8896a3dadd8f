"""Moving a module's tensors to another device or dtype, what `Module.to` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinynn.autograd import Tensor
from tinynn.autograd.node import Leaf
from tinynn.backend.devices import Device, backend_for, transfer
from tinynn.backend.dtypes import as_dtype, is_floating
from tinynn.nn.parameter import Parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinynn.backend.dtypes import DType
    from tinynn.nn.module import Module


def destination(
    arguments: Sequence[Any], device: Any = None, dtype: Any = None
) -> tuple[Device | None, DType | None]:
    """What `to("cuda")`, `to(tn.float64)`, `to("cuda", tn.float16)` or `to(tensor)` ask for.

    Raises TypeError for a dtype that is not floating, ValueError or RuntimeError for a device that
    is unknown or not usable here.
    """
    for argument in arguments:
        if isinstance(argument, Tensor):
            device, dtype = argument.device, argument.dtype
        elif isinstance(argument, Device) or not _is_dtype(argument):
            device = argument
        else:
            dtype = argument
    if dtype is not None:
        dtype = as_dtype(dtype)
        if not is_floating(dtype):
            raise TypeError(f"to: a module can be cast to floating dtypes only, got {dtype}")
    if device is not None:
        device = Device(device)
        backend_for(device)
    return device, dtype


def move_module(module: Module, device: Device | None, dtype: DType | None) -> None:
    """Moves all that a module and those within it keep."""
    for tensor in (*module.parameters(), *module.buffers()):
        move(tensor, device, dtype)
    if device is not None:
        for one in module.modules():
            one._move_extra(device)


def move(tensor: Tensor, device: Device | None, dtype: DType | None) -> None:
    """Moves a tensor's array, and its gradient's; an integer tensor keeps its dtype."""
    array = tensor.data
    if device is not None:
        array = transfer(array, device)
    if dtype is not None and is_floating(array.dtype):
        array = array.astype(dtype, copy=False)
    if array is tensor.data:
        return
    tensor.data = array
    tensor.bump_version()
    # It has left its optimizer's flat memory, which is not to be kept alive by it.
    if isinstance(tensor, Parameter):
        tensor.place = None
    if isinstance(tensor.node, Leaf):
        tensor.node.slot = None
        if tensor.grad is not None:
            move(tensor.grad, device, dtype)


def _is_dtype(argument: Any) -> bool:
    try:
        as_dtype(argument)
    except TypeError:
        return False
    return True

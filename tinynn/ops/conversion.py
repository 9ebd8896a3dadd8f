"""Changes of dtype, device and identity, and the ways back to Python and NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.autograd.tensor import Tensor
from tinynn.backend import recording
from tinynn.backend.devices import BACKENDS, Device, backend_for, device_of, transfer
from tinynn.backend.dtypes import as_dtype, is_floating
from tinynn.ops.registry import apply, declare, public

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinynn.backend.dtypes import DTypeLike

CAST = declare(
    "cast",
    lambda xp, x, *, dtype: x.astype(dtype),
    saves=("x.dtype",),
    vjps=(lambda F, g, before, *, dtype: F.cast(g, dtype=before),),
    quiet=True,
)
TO_DEVICE = declare(
    "to_device",
    lambda xp, x, *, device, source: transfer(x, device),
    vjps=(lambda F, g, *, device, source: F.to_device(g, device=source, source=device),),
    borrows=True,
)
ALIAS = declare("alias", lambda xp, x: x[...], vjps=(lambda F, g: g,), borrows=True, views=True)
CLONE = declare("clone", lambda xp, x: x.copy(), vjps=(lambda F, g: g,), borrows=True)


@public
def clone(input: Tensor) -> Tensor:
    """A copy of its memory, recorded, so that gradients flow through it.

    >>> import tinynn as tn
    >>> x = tn.tensor([1.0])
    >>> y = tn.clone(x)
    >>> y += 1
    >>> x
    tensor([1.])
    """
    return apply(CLONE, (input,))


@public
def to(
    input: Tensor,
    *target: Any,
    dtype: DTypeLike | None = None,
    device: Any = None,
    non_blocking: bool = False,
    copy: bool = False,
) -> Tensor:
    """The tensor in another dtype or on another device; itself where nothing changes.

    Arguments:
        target: a dtype, a device, both, or a tensor to be like.
        non_blocking: for programs written for PyTorch; moves always wait.
        copy: a copy also where nothing changes.

    Raises ValueError for an unknown device, RuntimeError where the device is not there.

    >>> import tinynn as tn
    >>> tn.tensor([1.7, -1.7]).to(tn.int64)
    tensor([ 1, -1])
    >>> tn.tensor([1]).to("cpu", tn.float32)
    tensor([1.])
    """
    for item in target:
        if isinstance(item, Tensor):
            dtype, device = item.dtype, item.device
        elif isinstance(item, Device | int) or (isinstance(item, str) and not _is_dtype(item)):
            device = item
        elif item is not None:
            dtype = item
    result = input
    if dtype is not None and input.data.dtype != (wanted := as_dtype(dtype)):
        source = result if is_floating(wanted) else result.detach()  # no gradient comes back
        result = apply(CAST, (source,), {"dtype": wanted})
    if device is not None:
        place = Device(device)
        backend = backend_for(place)
        here = device_of(input.data)
        if BACKENDS[type(input.data)] is not backend or place.index not in (None, here.index):
            result = apply(TO_DEVICE, (result,), {"device": place, "source": here})
    return clone(input) if copy and result is input else result


def _is_dtype(name: str) -> bool:
    return name == "bfloat16" or hasattr(np, name)


def numpy(input: Tensor) -> Any:
    """The tensor as a NumPy array that shares its memory.

    Raises RuntimeError for a tensor that requires grad (`.detach()` it) and TypeError for one on a
    GPU (`.to("cpu")` it), as PyTorch does.

    >>> import tinynn as tn
    >>> tn.tensor([1, 2]).numpy()
    array([1, 2])
    """
    if input.node is not None:
        raise RuntimeError(
            "numpy: the tensor requires grad, and writing to the array would go unseen; "
            "use .detach().numpy()"
        )
    if recording.current() is not None:
        return host(input)  # a recorder refuses, and says why
    if not isinstance(input.data, np.ndarray):
        raise TypeError(f"numpy: the tensor is on {input.device}; use .to('cpu').numpy()")
    return input.data


def to_array(input: Tensor, dtype: Any = None, copy: bool | None = None) -> Any:
    """`__array__`: what `np.asarray(tensor)` calls."""
    return np.array(numpy(input), dtype=dtype, copy=copy)


def host(input: Tensor) -> Any:
    """A NumPy array of its values, from whatever device, whether or not it requires grad."""
    array = recording.seen(input.data)
    return BACKENDS[type(array)].to_host(array)


def item(input: Tensor) -> Any:
    """The value of a tensor of one element, as a Python number.

    Raises RuntimeError for more or fewer elements.

    >>> import tinynn as tn
    >>> tn.tensor([[2.5]]).item()
    2.5
    """
    if input.data.size != 1:
        raise RuntimeError(f"item: needs a tensor of one element, this one has shape {input.shape}")
    return host(input).item()


def tolist(input: Tensor) -> Any:
    """Its values as nested lists of Python numbers.

    >>> import tinynn as tn
    >>> tn.tensor([[1, 2], [3, 4]]).tolist()
    [[1, 2], [3, 4]]
    """
    return host(input).tolist()


def truth(input: Tensor) -> bool:
    """`bool(tensor)`; RuntimeError for other than one element."""
    if input.data.size != 1:
        raise RuntimeError(
            f"bool: a tensor of shape {input.shape} is neither true nor false; use .any() or .all()"
        )
    return bool(item(input))


def index(input: Tensor) -> int:
    """`operator.index(tensor)`, so that an integer tensor of one element can index a list."""
    if input.data.dtype.kind not in "iub" or input.data.size != 1:
        raise TypeError(
            f"index: only an integer tensor of one element is an index, this one is "
            f"{input.dtype} of shape {input.shape}"
        )
    return int(item(input))


def to_int(input: Tensor) -> int:
    """`int(tensor)`, for one element."""
    return int(item(input))


def to_float(input: Tensor) -> float:
    """`float(tensor)`, for one element."""
    return float(item(input))


def cpu(input: Tensor) -> Tensor:
    """The tensor in host memory."""
    return to(input, device="cpu")


def cuda(input: Tensor, device: Any = None) -> Tensor:
    """The tensor on a GPU: the current one, or that of a device or an index."""
    return to(input, device="cuda" if device is None else device)


def type_as(input: Tensor, other: Tensor) -> Tensor:
    """The tensor in the dtype of another one.

    >>> import tinynn as tn
    >>> tn.tensor([1, 2]).type_as(tn.tensor(0.5))
    tensor([1., 2.])
    """
    return to(input, dtype=other.dtype)


def casting(dtype: DTypeLike) -> Callable[[Tensor], Tensor]:
    """A method that brings tensors to a dtype, such as `tensor.float()`."""

    def cast(input: Tensor) -> Tensor:
        return to(input, dtype=dtype)

    cast.__doc__ = f"The tensor in {dtype}; itself where it is so."
    return cast

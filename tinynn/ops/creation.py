"""Tensors from numbers, lists and arrays, from other libraries, and filled ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.autograd.tensor import Tensor
from tinynn.backend import recording
from tinynn.backend.devices import BACKENDS, Device, backend_for, transfer
from tinynn.backend.dtypes import DEFAULT_FLOAT, as_dtype, category, int64
from tinynn.ops.conversion import host, item
from tinynn.ops.dims import sizes_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tinynn.backend.dtypes import DTypeLike
    from tinynn.ops.arithmetic import Operand
    from tinynn.ops.dims import Shape


def tensor(
    data: Any,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor with a copy of the data: numbers, nested lists, an array, or another tensor.

    Python floats become float32; arrays keep their dtype. Raises ValueError for ragged lists and
    TypeError for what is not numbers.

    >>> tensor([[1.0, 2.0], [3.0, 4.0]]).shape
    (2, 2)
    >>> tensor([1, 2]).dtype, tensor(0.5).dtype
    (dtype('int64'), dtype('float32'))
    """
    array = _array_of(data)
    array, default = _from_python(data) if array is None else (array, array.dtype)
    category(array.dtype)
    with np.errstate(all="ignore"):
        array = recording.made(array.astype(as_dtype(default if dtype is None else dtype)))
    if device is not None:
        array = transfer(array, Device(device))
    return Tensor(array, requires_grad)


def _array_of(data: Any) -> Any:
    """The array that the data holds or is, if a backend knows its type, else None."""
    if isinstance(data, Tensor):
        return recording.read(data)
    try:
        backend = BACKENDS[type(data)]
    except TypeError:
        return from_dlpack(data).data if hasattr(data, "__dlpack__") else None
    return data if type(data) is backend.array_type else backend.xp.asarray(data)


def _from_python(data: Any) -> tuple[Any, Any]:
    """An array of numbers, lists of them, or what NumPy makes an array of; and the dtype to have.

    NumPy makes float64 of Python's floats, which are to be float32, but for float64 among them.
    """
    try:
        array = np.array(_plain(data))
    except ValueError:
        raise ValueError(
            "tensor: the nested lists are ragged; every list of one level must have one length"
        ) from None
    if array.dtype in (np.uint64, object) and all(type(item) is int for item in _leaves(data)):
        raise ValueError(f"tensor: an integer in {str(data)[:40]} is out of range for int64")
    if array.dtype.kind not in "biufV":
        raise TypeError(f"tensor: expected numbers, got {type(data).__name__} {str(data)[:40]!r}")
    first = next(_leaves(data), None)
    floats = array.dtype == np.float64 and getattr(first, "dtype", None) != np.float64
    return array, DEFAULT_FLOAT if floats else array.dtype


def _plain(data: Any) -> Any:
    """Lists with the tensors in them replaced by what they hold."""
    if isinstance(data, Tensor):
        return host(data)
    return [_plain(item) for item in data] if isinstance(data, list | tuple) else data


def _leaves(data: Any) -> Iterator[Any]:
    """What is in nested lists."""
    if isinstance(data, list | tuple):
        for item in data:
            yield from _leaves(item)
    else:
        yield data


def as_tensor(
    data: Any, dtype: DTypeLike | None = None, device: str | Device | None = None
) -> Tensor:
    """A tensor of the data, sharing its memory where it can.

    >>> array = np.zeros(2)
    >>> as_tensor(array)[0] = 1.0
    >>> array
    array([1., 0.])
    """
    if isinstance(data, Tensor):
        return data.to(dtype=dtype, device=device)
    array = _array_of(data)
    if array is None or not array.dtype.isnative:
        return tensor(data, dtype, device)
    category(array.dtype)
    return Tensor(array).to(dtype=dtype, device=device)


def is_tensor(obj: Any) -> bool:
    """Whether an object is a tensor.

    >>> is_tensor(zeros(2)), is_tensor(np.zeros(2))
    (True, False)
    """
    return isinstance(obj, Tensor)


def from_numpy(array: Any) -> Tensor:
    """A tensor that shares the memory of a NumPy array.

    >>> from_numpy(np.arange(3))
    tensor([0, 1, 2])
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected a numpy.ndarray, got {type(array).__name__}")
    return as_tensor(array)


def from_dlpack(external: Any) -> Tensor:
    """A tensor that shares the memory of another library's, by the DLPack protocol.

    >>> from_dlpack(np.arange(3.0))
    tensor([0., 1., 2.], dtype=float64)
    """
    if not hasattr(external, "__dlpack_device__"):
        raise TypeError(
            f"from_dlpack: expected a tensor or an array, got {type(external).__name__}"
        )
    kind, _ = external.__dlpack_device__()
    backend = backend_for(Device("cpu" if kind == 1 else "cuda"))
    return Tensor(backend.xp.from_dlpack(external))


def to_dlpack(input: Tensor, **keywords: Any) -> Any:
    """`__dlpack__`: hands the memory to another library."""
    if input.node is not None:
        raise RuntimeError("dlpack: the tensor requires grad; use .detach()")
    return input.data.__dlpack__(**keywords)


def dlpack_device(input: Tensor) -> Any:
    """`__dlpack_device__`: the kind of device and its number."""
    return input.data.__dlpack_device__()


def shape_of(name: str, size: tuple[Any, ...]) -> Shape:
    """The shape from `zeros(2, 3)` or `zeros((2, 3))`; RuntimeError for a negative size."""
    shape = sizes_of(name, size)
    if min(shape, default=0) < 0:
        raise RuntimeError(f"{name}: a shape has sizes of 0 or more, got {shape}")
    return shape


def _filled(
    maker: str,
    size: tuple[Any, ...],
    dtype: DTypeLike | None,
    device: str | Device | None,
    requires_grad: bool,
    *arguments: Any,
) -> Tensor:
    """The array module's zeros, ones, empty or full, as a tensor."""
    shape = shape_of(maker, size)
    place = Device("cpu" if device is None else device)
    wanted = DEFAULT_FLOAT if dtype is None else as_dtype(dtype)
    try:
        array = getattr(backend_for(place).xp, maker)(shape, *arguments, dtype=wanted)
    except OverflowError as error:
        raise RuntimeError(f"{maker}: {error}") from None
    return Tensor(transfer(array, place), requires_grad)


def zeros(
    *size: Any,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Zeros of a shape, float32 unless said otherwise.

    >>> zeros(2, 3).shape
    (2, 3)
    """
    return _filled("zeros", size, dtype, device, requires_grad)


def ones(
    *size: Any,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones of a shape, float32 unless said otherwise.

    >>> ones(2)
    tensor([1., 1.])
    """
    return _filled("ones", size, dtype, device, requires_grad)


def empty(
    *size: Any,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Memory of a shape, not initialised.

    >>> empty(2, 0).shape
    (2, 0)
    """
    return _filled("empty", size, dtype, device, requires_grad)


def full(
    size: Shape,
    fill_value: Operand,
    *,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """One value in a shape; the dtype is that of the value unless said otherwise.

    >>> full((2,), 7)
    tensor([7, 7])
    """
    value = item(fill_value) if isinstance(fill_value, Tensor) else fill_value
    if dtype is None:
        dtype = DEFAULT_FLOAT if isinstance(fill_value, float) else tensor(fill_value).dtype
    return _filled("full", (size,), dtype, device, requires_grad, value)


def arange(
    start: float,
    end: float | None = None,
    step: float = 1,
    *,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers from start (0 if only an end is given) up to, not including, end.

    Integers give int64, floats float32 unless said otherwise. Raises RuntimeError for a step of 0,
    or one that leads away from the end.

    >>> arange(3), arange(1, 2, 0.5)
    (tensor([0, 1, 2]), tensor([1.0000, 1.5000]))
    """
    if end is None:
        start, end = 0, start
    if step == 0 or (end - start) * step < 0:
        raise RuntimeError(f"arange: no steps of {step} lead from {start} to {end}")
    array = np.arange(start, end, step)
    if dtype is None:
        dtype = DEFAULT_FLOAT if array.dtype.kind == "f" else int64
    return tensor(array, dtype, device, requires_grad)


def linspace(
    start: float,
    end: float,
    steps: int,
    *,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` numbers from start to end, both included, evenly apart.

    >>> linspace(0, 1, 3)
    tensor([0.0000, 0.5000, 1.0000])
    """
    if steps < 0:
        raise RuntimeError(f"linspace: steps must be 0 or more, got {steps}")
    array = np.linspace(start, end, steps)
    return tensor(array, DEFAULT_FLOAT if dtype is None else dtype, device, requires_grad)


def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: DTypeLike | None = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Ones on the diagonal of an n x m matrix, zeros elsewhere.

    >>> eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    shape_of("eye", (n, n if m is None else m))
    return tensor(np.eye(n, m), DEFAULT_FLOAT if dtype is None else dtype, device, requires_grad)

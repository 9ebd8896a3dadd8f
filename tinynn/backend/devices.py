"""Devices and backends: which array module an array belongs to, and how arrays move.

A backend is an array module (NumPy, CuPy) and a table of kernels. It is found once per operation,
by the type of the array; nothing above this folder asks which backend it runs on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tinynn.backend import recording

if TYPE_CHECKING:
    from collections.abc import Callable

Array: TypeAlias = Any  # numpy.ndarray, cupy.ndarray, or a registered backend's own


class Device:
    """Where an array lives: a type (`cpu`, `cuda`) and, for GPUs, an index.

    An integer is the index of a GPU. Raises ValueError for what is not written as a device is.

    >>> Device("cuda:1").type, Device("cuda", 1).index
    ('cuda', 1)
    >>> Device("cpu") == "cpu"
    True
    """

    __slots__ = ("index", "type")

    def __init__(self, type: str | int | Device = "cpu", index: int | None = None) -> None:
        text = f"cuda:{type}" if isinstance(type, int) else str(type)
        name, separator, number = text.partition(":")
        if not name or (separator and not number.isdigit()):
            raise ValueError(f"device: got {type!r}; expected 'cpu', 'cuda' or 'cuda:INDEX'")
        self.type = name
        self.index = int(number) if separator else index

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return f"device({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, str | Device) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.type, self.index))


class Backend:
    """An array module and its kernels.

    Arguments:
        name: how messages call it.
        device_type: the part of a device's name before the colon.
        xp: the array module, with NumPy's interface.
        array_type: the class of its arrays.
        from_host: NumPy array, index of the device or None -> array of this backend.
        to_host: array of this backend -> NumPy array.
        device_of: array -> the index of its device, or None.
        kernels: the table of fused kernels; None takes the table for `name`.
        address_of: array -> the address of its first element.
        view_of: (array, offset in bytes, shape, strides, dtype) -> the part of its memory.
        synchronize: waits until the device has done what it was given to do; None for one that has
            always done it when a call returns.
        graph_of: calls without arguments -> what makes them all with few launches, or None where
            that is not possible; None for a backend without graphs.
    """

    def __init__(
        self,
        name: str,
        device_type: str,
        xp: Any,
        array_type: type,
        from_host: Callable[[np.ndarray[Any, Any], int | None], Array],
        to_host: Callable[[Array], np.ndarray[Any, Any]],
        device_of: Callable[[Array], int | None],
        kernels: Any = None,
        address_of: Callable[[Array], int] | None = None,
        view_of: Callable[..., Array] | None = None,
        synchronize: Callable[[], None] | None = None,
        graph_of: Callable[..., Callable[[], None] | None] | None = None,
    ) -> None:
        self.name = name
        self.device_type = device_type
        self.xp = xp
        self.array_type = array_type
        self.from_host = from_host
        self.to_host = to_host
        self.device_of = device_of
        self._kernels = kernels
        self._address_of = address_of
        self._view_of = view_of
        self.synchronize = synchronize
        self.graph_of = graph_of

    @property
    def kernels(self) -> Any:
        """The table of this backend's fused kernels; `table.NAME(*arrays, out=None, ...)`."""
        if self._kernels is None:
            from tinynn.backend.kernel_table import table_for

            self._kernels = table_for(self.name)
        return self._kernels

    def address_of(self, array: Array) -> int:
        """Where the first element of an array lies."""
        return self._memory(self._address_of)(array)  # type: ignore[no-any-return]

    def view_of(
        self,
        array: Array,
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        dtype: Any,
    ) -> Array:
        """The part of an array's memory that begins so many bytes behind its first element."""
        return self._memory(self._view_of)(array, offset, shape, strides, dtype)

    def _memory(self, function: Callable[..., Any] | None) -> Callable[..., Any]:
        if function is None:
            raise RuntimeError(
                f"compile: the backend {self.name} does not tell where arrays lie in memory; "
                "register it with address_of and view_of"
            )
        return function

    def __repr__(self) -> str:
        return f"Backend({self.name!r})"


class _Backends(dict[type, Backend]):
    """Array type -> backend; CuPy is found when its first array is met."""

    def __missing__(self, array_type: type) -> Backend:
        if issubclass(array_type, np.generic):
            return NUMPY  # what NumPy makes of a 0-d result; not an array, so not entered
        if issubclass(array_type, np.ndarray):
            backend = NUMPY
        elif array_type.__module__.partition(".")[0] == "cupy":
            backend = _load_cupy()
        else:
            raise TypeError(
                f"expected an array of a known backend ({', '.join(_DEVICE_TYPES)}), got "
                f"{array_type.__module__}.{array_type.__qualname__}; make a tensor of it with "
                "tn.tensor(...)"
            )
        self[array_type] = backend
        return backend


def _numpy_view(
    array: Array, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: Any
) -> Array:
    # NumPy takes memory that lies in order, as that of a transposed array does when turned back.
    return np.ndarray(shape, dtype, array if array.flags.c_contiguous else array.T, offset, strides)


NUMPY = Backend(
    name="numpy",
    device_type="cpu",
    xp=np,
    array_type=np.ndarray,
    from_host=lambda array, index: array,
    to_host=lambda array: array,
    device_of=lambda array: None,
    address_of=lambda array: array.__array_interface__["data"][0],
    view_of=_numpy_view,
)
BACKENDS = _Backends({np.ndarray: NUMPY})
_DEVICE_TYPES: dict[str, Backend] = {"cpu": NUMPY}
_waits: list[Callable[[], None]] = []


def register_backend(backend: Backend) -> None:
    """Makes a backend known by its array type and its device type."""
    BACKENDS[backend.array_type] = backend
    _DEVICE_TYPES[backend.device_type] = backend
    if backend.synchronize is not None:
        _waits.append(backend.synchronize)


def synchronize() -> None:
    """Waits for every device that works on its own, so that a clock tells what was done."""
    for wait in _waits:
        wait()


def backend_of(array: Array) -> Backend:
    """The backend of an array; TypeError names a type that no backend knows."""
    return BACKENDS[type(array)]


def array_module(array: Array) -> Any:
    """The array module (NumPy, CuPy) of an array."""
    return BACKENDS[type(array)].xp


def backend_for(device: Device) -> Backend:
    """The backend of a device; RuntimeError says why it is missing and what to do."""
    backend = _DEVICE_TYPES.get(device.type)
    if backend is not None:
        recorder = recording.current()
        return backend if recorder is None else recorder.backend_like(backend)
    if device.type == "cuda":
        return _load_cupy()
    raise ValueError(
        f"device: {str(device)!r} is unknown; available: {', '.join(sorted(_DEVICE_TYPES))}, cuda"
    )


def device_of(array: Array) -> Device:
    """The device that an array lives on."""
    backend = BACKENDS[type(array)]
    return Device(backend.device_type, backend.device_of(array))


def transfer(array: Array, device: Device) -> Array:
    """The array on another device; the array itself where it is there already."""
    source, target = BACKENDS[type(array)], backend_for(device)
    same_index = device.index is None or source.device_of(array) == device.index
    if source is target and same_index:
        return array
    return target.from_host(source.to_host(array), device.index)


def _load_cupy() -> Backend:
    try:
        import cupy
    except ImportError:
        raise RuntimeError(
            "device: 'cuda' needs CuPy, which is not installed; "
            "pip install 'tinynn[cuda12]' (or cuda13), or use device 'cpu'"
        ) from None
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise RuntimeError(f"device: 'cuda' is not usable here ({error}); use 'cpu'") from None
    from tinynn.backend.cuda_graph import graph_of

    def from_host(array: np.ndarray[Any, Any], index: int | None) -> Array:
        with cupy.cuda.Device(index):
            return cupy.asarray(array)

    backend = Backend(
        name="cupy",
        device_type="cuda",
        xp=cupy,
        array_type=cupy.ndarray,
        from_host=from_host,
        to_host=cupy.asnumpy,
        device_of=lambda array: int(array.device.id),
        address_of=lambda array: int(array.data.ptr),
        view_of=lambda array, offset, shape, strides, dtype: cupy.ndarray(
            shape, dtype, array.data + offset, strides
        ),
        synchronize=lambda: cupy.cuda.get_current_stream().synchronize(),
        graph_of=graph_of,
    )
    register_backend(backend)
    return backend

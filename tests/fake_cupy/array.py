"""The fake's array: a NumPy array in a box that opens only where CuPy copies to the host."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tests.fake_cupy.tables import DTYPES, METHODS

SCALARS = (bool, int, float, complex, np.generic)


class ndarray:
    """A NumPy array that keeps to what `cupy.ndarray` does.

    Like CuPy's it has no `__index__`, no `__contains__` and no buffer, takes no weak references and
    no new attributes, is not hashable, stays an array in 0 dimensions, and wraps indices that are
    out of bounds when they come as an array. Unlike CuPy's, NumPy's own functions refuse it.
    """

    __slots__ = ("_host",)
    __array_ufunc__ = None  # an operator with a NumPy array on the left is ours to refuse
    __hash__ = None  # type: ignore[assignment]
    _host: np.ndarray

    def __init__(self, shape: Any, dtype: Any = float, order: str = "C") -> None:
        self._host = checked(np.empty(shape, dtype, order=order))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return NotImplemented

    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    itemsize = property(lambda self: self._host.itemsize)
    strides = property(lambda self: self._host.strides)
    T = property(lambda self: wrap(self._host.T))
    mT = property(lambda self: wrap(self._host.mT))
    real = property(lambda self: wrap(self._host.real))
    imag = property(lambda self: wrap(self._host.imag))
    base = property(lambda self: None if self._host.base is None else wrap(self._host.base))

    @property
    def flags(self) -> Flags:
        return Flags(self._host)

    def get(self, stream: None = None, order: str = "C", out: np.ndarray | None = None) -> Any:
        """A copy on the host."""
        if out is None:
            return self._host.copy(order)
        out[...] = self._host
        return out

    def set(self, arr: np.ndarray, stream: None = None) -> None:
        """Copy a host array of the same shape and dtype into this one."""
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if (arr.dtype, arr.shape) != (self.dtype, self.shape):
            raise ValueError(f"set: got {arr.dtype} {arr.shape}, not {self.dtype} {self.shape}")
        self._host[...] = arr

    def fill(self, value: Any) -> None:
        self._host.fill(host(value, "V", "fill: value"))

    def take(self, indices: Any, axis: int | None = None, out: ndarray | None = None) -> ndarray:
        size = self.size if axis is None else self.shape[axis]
        places = wrapped(np.asarray(host(indices, "I", "take: indices")), size)
        result = wrap(self._host.take(places, axis))
        if out is None:
            return result
        out[...] = result
        return out

    def __getitem__(self, index: Any) -> ndarray:
        parts = host_index(index, self.shape)
        # With an ellipsis NumPy too gives a view of 0 dimensions instead of a scalar.
        return wrap(self._host[parts if any(part is ... for part in parts) else (*parts, ...)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self._host[host_index(index, self.shape)] = host(value, "V", "value of an assignment")

    def __iter__(self) -> Iterable[ndarray]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[place] for place in range(len(self)))

    def __len__(self) -> int:
        return len(self._host)

    def __bool__(self) -> bool:
        return bool(self._host)

    def __int__(self) -> int:
        return int(self._host)

    def __float__(self) -> float:
        return float(self._host)

    def __complex__(self) -> complex:
        return complex(self._host)

    def __repr__(self) -> str:
        return repr(self._host)

    def __format__(self, specification: str) -> str:
        return format(self._host, specification)

    def __copy__(self) -> ndarray:
        return wrap(self._host.copy())

    def __deepcopy__(self, memo: Any) -> ndarray:
        return wrap(self._host.copy())


class Flags:
    """The three flags that a CuPy array has."""

    def __init__(self, array: np.ndarray) -> None:
        self.c_contiguous: bool = array.flags.c_contiguous
        self.f_contiguous: bool = array.flags.f_contiguous
        self.owndata: bool = array.flags.owndata


def checked(array: np.ndarray) -> np.ndarray:
    """The array, if CuPy has its dtype."""
    if array.dtype.name not in DTYPES:
        raise ValueError(f"Unsupported dtype {array.dtype}")
    return array


def wrap(value: Any) -> Any:
    """NumPy's result as CuPy gives it: arrays boxed, scalars as 0-d arrays, the rest as it is."""
    if isinstance(value, (np.ndarray, np.generic)):
        boxed = object.__new__(ndarray)
        boxed._host = checked(np.asarray(value))
        return boxed
    if isinstance(value, tuple):
        return tuple(map(wrap, value))
    if isinstance(value, list):
        return list(map(wrap, value))
    return value


def host(value: Any, mark: str, name: str) -> Any:
    """An argument as NumPy takes it, or TypeError where CuPy would not take it (see tables.py)."""
    if mark == "S":
        if not isinstance(value, (tuple, list)):
            raise TypeError(f"{name}: expected a tuple or list of arrays, got {type(value)}")
        return [host(item, "A", name) for item in value]
    if isinstance(value, ndarray):
        if not mark:
            raise TypeError(f"{name}: CuPy takes a host value here, got an array on the device")
        return value._host
    if value is None or (mark == "I" and isinstance(value, (np.ndarray, tuple, list))):
        return value
    if isinstance(value, np.ndarray) or mark == "A":
        raise TypeError(f"{name}: Unsupported type {type(value)}")
    if mark == "V" and not isinstance(value, (*SCALARS, np.dtype, type)):
        raise TypeError(f"{name}: Unsupported type {type(value)}")
    return value


def host_index(index: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """The index for NumPy, its integer arrays wrapped around the axes that they pick from."""
    parts = list(index) if isinstance(index, tuple) else [index]
    parts = [
        np.asarray(host(part, "I", "index"))
        if isinstance(part, (ndarray, np.ndarray, list))
        else part
        for part in parts
    ]
    taken = sum(map(axes_taken, parts))
    axis = 0
    for place, part in enumerate(parts):
        if isinstance(part, np.ndarray) and part.dtype.kind in "iu" and axis < len(shape):
            parts[place] = wrapped(part, shape[axis])
        elif isinstance(part, list) and not part:
            parts[place] = np.empty(0, np.int32)
        axis += len(shape) - taken if part is ... else axes_taken(part)
    return tuple(parts)


def axes_taken(part: Any) -> int:
    """How many axes one part of an index uses up."""
    if part is None or part is ... or isinstance(part, bool):
        return 0
    return part.ndim if isinstance(part, np.ndarray) and part.dtype.kind == "b" else 1


def wrapped(places: np.ndarray, size: int) -> np.ndarray:
    """Indices that are out of bounds, wrapped around as CuPy's kernels do."""
    return places % size if size and places.dtype.kind in "iu" else places


def parse(table: str, first: str = "") -> dict[str, inspect.Signature]:
    """Name -> signature, for the lines of a table; `first` goes before the other arguments."""
    marks = {mark: mark for mark in "ASVI"}
    stubs: dict[str, Any] = {}
    for line in table.replace(",\n        ", ", ").strip().splitlines():
        exec(f"def {line.strip().replace('(', f'({first}', 1)}: ...", marks, stubs)
    return {name: inspect.signature(stub) for name, stub in stubs.items()}


def on_host(
    name: str, signature: inspect.Signature, call: Callable[..., Any]
) -> Callable[..., Any]:
    """`call`, a NumPy function, behind CuPy's signature and with the fake's arrays."""

    def function(*args: Any, **kwargs: Any) -> Any:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}() in CuPy: {error}") from None
        out = bound.arguments.get("out")
        for key, value in bound.arguments.items():
            parameter = signature.parameters[key]
            mark = "A" if key == "out" else parameter.annotation
            mark = "" if mark is inspect.Parameter.empty else mark
            where = f"{name}: {key}"
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                bound.arguments[key] = tuple(host(item, mark, where) for item in value)
            elif parameter.kind is not inspect.Parameter.VAR_KEYWORD:
                bound.arguments[key] = host(value, mark, where)
        with np.errstate(all="ignore"):  # a GPU gives inf and nan without a word
            result = call(*bound.args, **bound.kwargs)
        return wrap(result) if out is None else out

    function.__name__ = function.__qualname__ = name
    function.__signature__ = signature  # type: ignore[attr-defined]
    return function


def add_methods() -> None:
    """Give `ndarray` the methods of the table."""
    for name, signature in parse(METHODS, first="self: A, /, ").items():
        setattr(ndarray, name, on_host(name, signature, getattr(np.ndarray, name)))


def add_operators(ufuncs: dict[str, Callable[..., Any]]) -> None:
    """Give `ndarray` the operators, each the ufunc of CuPy's that does it."""
    binary = {
        "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide",
        "floordiv": "floor_divide", "mod": "remainder", "pow": "power", "matmul": "matmul",
        "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
        "lshift": "left_shift", "rshift": "right_shift",
    }  # fmt: skip
    compare = {"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal",
               "gt": "greater", "ge": "greater_equal"}  # fmt: skip
    unary = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}

    def two(ufunc: Callable[..., Any], order: Callable[[Any, Any], tuple[Any, Any]], inplace: bool):
        def method(self: ndarray, other: Any) -> Any:
            if not isinstance(other, (ndarray, np.ndarray, *SCALARS)):
                return NotImplemented
            return ufunc(*order(self, other), **({"out": self} if inplace else {}))

        return method

    def straight(a: Any, b: Any) -> tuple[Any, Any]:
        return a, b

    def swapped(a: Any, b: Any) -> tuple[Any, Any]:
        return b, a

    for symbol, name in (binary | compare).items():
        setattr(ndarray, f"__{symbol}__", two(ufuncs[name], straight, False))
    for symbol, name in binary.items():
        setattr(ndarray, f"__r{symbol}__", two(ufuncs[name], swapped, False))
        if symbol != "matmul":  # CuPy has no __imatmul__: a @= b makes a new array
            setattr(ndarray, f"__i{symbol}__", two(ufuncs[name], straight, True))
    for symbol, name in unary.items():
        setattr(ndarray, f"__{symbol}__", lambda self, ufunc=ufuncs[name]: ufunc(self))

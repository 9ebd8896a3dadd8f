"""What stands for an array while a step is recorded.

A TracedArray holds a real array and hands everything that is done with it to the recorder, which
does it and writes it down. It is no array itself: what it does not know it refuses, so that nothing
happens unseen. NumPy's own functions find their way here by NumPy's protocols.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from tinynn.backend import recording
from tinynn.backend.devices import BACKENDS, Backend
from tinynn.capture.errors import CaptureError, asked_for, outlived, shape_of_values, value_read


class TracedArray:
    """An array and the recorder that watches it.

    Attributes:
        array: the real array.
        recorder: who writes down what is done with it.
    """

    __slots__ = ("array", "recorder")
    backend: Backend

    def __init__(self, array: Any, recorder: Any) -> None:
        self.array = array
        self.recorder = recorder

    # ---- what an array is

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape  # type: ignore[no-any-return]

    @property
    def T(self) -> Any:
        return self.recorder.part(self, lambda array: array.T)

    def __len__(self) -> int:
        return len(self.array)

    def __hash__(self) -> int:
        return id(self)

    # ---- what is done with one

    def __getitem__(self, key: Any) -> Any:
        return self.recorder.getitem(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.recorder.setitem(self, key, value)

    def __pow__(self, exponent: Any) -> Any:
        # NumPy takes these exponents to functions of their own, with other roundings.
        short = {2: "square", 0.5: "sqrt", -1: "reciprocal", 1: "positive"}
        if type(exponent) in (int, float) and exponent in short and self.array.dtype.kind == "f":
            return self.recorder.do(short[exponent], self)
        return self.recorder.do("power", self, exponent)

    def reshape(self, *shape: Any, **keywords: Any) -> Any:
        return self.recorder.part(self, lambda array: array.reshape(*shape, **keywords))

    def transpose(self, *dims: Any) -> Any:
        return self.recorder.part(self, lambda array: array.transpose(*dims))

    def swapaxes(self, one: int, other: int) -> Any:
        return self.recorder.part(self, lambda array: array.swapaxes(one, other))

    def squeeze(self, axis: Any = None) -> Any:
        return self.recorder.part(self, lambda array: array.squeeze(axis=axis))

    def ravel(self) -> Any:
        return self.recorder.part(self, lambda array: array.ravel())

    def view(self, dtype: Any) -> Any:
        return self.recorder.part(self, lambda array: array.view(dtype))

    def astype(self, dtype: Any, copy: bool = True, **keywords: Any) -> Any:
        if not copy and self.array.dtype == dtype:
            return self
        return self.recorder.copy(self, dtype)

    def copy(self) -> Any:
        # Row by row, as NumPy's method does it and not its function.
        return self.recorder.copy(self, self.array.dtype, "C")

    def fill(self, value: Any) -> None:
        self.recorder.setitem(self, ..., value)

    def mean(self, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
        # As NumPy computes it: a sum, divided in place.
        source = self.array
        if dtype is None and source.dtype.kind in "biu":
            dtype = np.float64
        if source.dtype.itemsize == 2:  # float16 is summed in float32 and rounded
            return self.recorder.do("mean", self, axis=axis, dtype=dtype, keepdims=keepdims)
        total = self.sum(axis=axis, dtype=dtype, keepdims=keepdims)
        count = np.intp(source.size // max(math.prod(total.shape), 1))
        return self.recorder.do("true_divide", total, count, out=total, casting="unsafe")

    def dot(self, other: Any) -> Any:
        return self.recorder.do("dot", self, other)

    def take(self, indices: Any, axis: Any = None) -> Any:
        return self.recorder.do("take", self, indices, axis=axis)

    def nonzero(self) -> Any:
        raise shape_of_values("nonzero")

    # ---- what would end the recording

    def _read(self, *arguments: Any, **keywords: Any) -> Any:
        raise value_read() if self.recorder.is_open else outlived()

    item = tolist = tobytes = __array__ = _read
    __float__ = __int__ = __index__ = __complex__ = _read

    def __bool__(self) -> bool:
        known: bool = self.recorder.truth(self)
        return known

    def __iter__(self) -> Any:
        return (self[place] for place in range(len(self)))

    def __repr__(self) -> str:
        return f"<recorded array of shape {self.shape} and {self.array.dtype}>"

    # ---- NumPy's protocols

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        if "out" in keywords and method == "__call__":
            (keywords["out"],) = keywords["out"]
        elif "out" in keywords:
            keywords["out"] = keywords["out"][0] if type(keywords["out"]) is tuple else None
        return self.recorder.call(function, inputs, keywords)

    def __array_function__(self, function: Any, types: Any, arguments: Any, keywords: Any) -> Any:
        return self.recorder.call(function, arguments, keywords)

    def __getattr__(self, name: str) -> Any:
        raise UnknownAttribute(
            f"'{name}' of an array is asked for {asked_for()[1]}, and no recorder knows it; use "
            "the operations of tinynn, or compute it outside of the compiled function"
        )


class UnknownAttribute(CaptureError, AttributeError):
    """Something is asked of an array that no recorder knows."""


def unwrapped(value: Any) -> Any:
    """The value with real arrays in place of traced ones, also within lists and tuples."""
    if isinstance(value, TracedArray):
        return value.array
    if type(value) in (tuple, list):
        return type(value)(unwrapped(item) for item in value)
    return value


def _attribute(name: str) -> property:
    return property(lambda self: getattr(self.array, name))


def _operator(function: str) -> Callable[..., Any]:
    return lambda self, other: self.recorder.do(function, self, other)


def _reflected(function: str) -> Callable[..., Any]:
    return lambda self, other: self.recorder.do(function, other, self)


def _in_place(function: str) -> Callable[..., Any]:
    return lambda self, other: self.recorder.do(function, self, other, out=self)


def _unary(function: str) -> Callable[..., Any]:
    return lambda self: self.recorder.do(function, self)


def _method(function: str) -> Callable[..., Any]:
    return lambda self, *arguments, **keywords: self.recorder.do(
        function, self, *arguments, **keywords
    )


_BINARY = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "left_shift",
    "rshift": "right_shift",
}
_COMPARISONS = {
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
}
_UNARY = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}
_ATTRIBUTES = "dtype ndim size itemsize nbytes strides flags device data base"
_METHODS = "sum prod max min any all argmax argmin cumsum cumprod clip round"

for _name in _ATTRIBUTES.split():
    setattr(TracedArray, _name, _attribute(_name))
for _name in _METHODS.split():
    setattr(TracedArray, _name, _method(_name))
for _name, _function in _BINARY.items():
    setattr(TracedArray, f"__{_name}__", _operator(_function))
    setattr(TracedArray, f"__r{_name}__", _reflected(_function))
    setattr(TracedArray, f"__i{_name}__", _in_place(_function))
for _name, _function in _COMPARISONS.items():
    setattr(TracedArray, f"__{_name}__", _operator(_function))
for _name, _function in _UNARY.items():
    setattr(TracedArray, f"__{_name}__", _unary(_function))
TracedArray.__rpow__ = _reflected("power")  # type: ignore[attr-defined]


@cache
def traced_type(backend: Backend) -> type[TracedArray]:
    """The class that stands for a backend's arrays, known to be one of a recording backend."""
    from tinynn.capture.namespace import Namespace

    class Traced(TracedArray):
        __slots__ = ()

    def from_host(array: Any, index: int | None) -> Any:
        result = backend.from_host(array, index)
        return recording.seen(result) if result is array else recording.made(result)

    Traced.backend = backend
    BACKENDS[Traced] = Backend(
        name=backend.name,
        device_type=backend.device_type,
        xp=Namespace(backend.xp),
        array_type=Traced,
        from_host=from_host,
        to_host=TracedArray._read,
        device_of=lambda array: backend.device_of(array.array),
        kernels=backend.kernels,
        address_of=backend.address_of,
        view_of=backend.view_of,
    )
    return Traced

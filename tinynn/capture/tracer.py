"""The tracer: runs array functions, and writes down what it ran.

A function is told apart by what it does with memory (see call.py): most write their result to an
array they are given, some make one, some write into an argument, and some only look at their
argument in another shape. The last need no entry: their result is another view of the same buffer.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from tinynn.backend.devices import BACKENDS, Backend, device_of
from tinynn.capture.buffers import CONSTANT, EXTERNAL, INPUT, INTERNAL, Buffer, Memory, View
from tinynn.capture.call import COPY, FRESH, IN_PLACE, OUT, TWIN, Call
from tinynn.capture.errors import CaptureError, outlived, shape_of_values, value_read
from tinynn.capture.functions import SPECIAL
from tinynn.capture.traced import TracedArray, traced_type, unwrapped

# Methods of arrays that are reductions of NumPy's ufuncs.
_REDUCTIONS = {
    "sum": "add",
    "prod": "multiply",
    "max": "maximum",
    "min": "minimum",
    "any": "logical_or",
    "all": "logical_and",
}
_METHODS = {"argmax", "argmin", "cumsum", "cumprod"}
# Functions that are given the array for their result, besides ufuncs and their reductions.
_TAKING_OUT = {"dot", "matmul", "clip", "round", "stack", "concatenate", *_METHODS, *_REDUCTIONS}
_WRITING = {"at", "put_along_axis", "put", "place", "putmask"}
_SHAPED_BY_VALUES = {"nonzero", "flatnonzero", "argwhere", "unique", "compress", "extract"}
# Functions whose answer does not depend on the values of arrays.
_OF_SHAPES = {"may_share_memory", "shares_memory", "result_type", "ndim", "shape", "size"}


class Tracer:
    """What is written down of array calls.

    Attributes:
        calls: what was run, in order.
        call_numbers: of each call, the number of the operation that it is part of, or -1.
        memory: the buffers.
        saved: of each buffer of others that was written, what it held before.
        ones: buffers that were filled with ones.
        scope: (number, name) of the operation under way.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.xp = backend.xp
        self.traced = traced_type(backend)
        self.memory = Memory(backend)
        self.calls: list[Call] = []
        self.call_numbers: list[int] = []
        self.saved: dict[Buffer, Any] = {}
        self.keeps = True
        self.ones: set[Buffer] = set()
        self.scope = (-1, "")
        self.is_open = True
        self._arrays: dict[int, TracedArray] = {}

    def is_here(self) -> bool:
        """Whether it watches this thread."""
        raise NotImplementedError

    def truth(self, traced: TracedArray) -> bool:
        """`bool(array)`, if that is known."""
        raise value_read("bool(array)")

    # ---- arrays and views

    def array(self, array: Any) -> Any:
        """The traced form of an array, always the same one for the same array."""
        if isinstance(array, TracedArray):
            if array.recorder is not self:
                raise outlived()
            return array
        if type(array) is not self.backend.array_type:
            if isinstance(array, self.backend.array_type) or type(array) not in BACKENDS:
                raise CaptureError(f"an array of {type(array).__name__} cannot be recorded")
            raise RuntimeError(
                f"tensors are on two devices, {device_of(array)} and {self.backend.device_type}; "
                "move one with .to(device)"
            )
        known = self._arrays.get(id(array))
        if known is None:  # it is kept, so that no other array gets its id
            self.memory.view(array, EXTERNAL)
            known = self._arrays[id(array)] = self.traced(array, self)
        return known

    def keep(self, array: Any) -> TracedArray:
        """The traced form of an array that was made in the run."""
        return self.traced(array, self)

    def view(self, array: Any) -> View:
        """Where an array lies."""
        traced = array if isinstance(array, TracedArray) else self.array(array)
        return self.memory.view(traced.array, EXTERNAL)

    def noted(self, value: Any) -> Any:
        """The value with views in place of arrays."""
        if isinstance(value, TracedArray | self.backend.array_type):
            return self.view(value)
        if type(value) in (tuple, list):
            return type(value)(self.noted(item) for item in value)
        return value

    def protect(self, target: Any) -> None:
        """Keeps what a buffer of others holds before it is written for the first time."""
        buffer = self.view(target).buffer
        is_kept = buffer.kind == INPUT or (buffer.kind == EXTERNAL and self.keeps)
        if is_kept and buffer not in self.saved:
            self.saved[buffer] = buffer.array.copy()

    def rewriting(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Any:
        """Calls a function that may write to memory of others without that being kept."""
        before, self.keeps = self.keeps, False
        try:
            return function(*arguments, **keywords)
        finally:
            self.keeps = before

    def add(
        self,
        name: str,
        form: str,
        function: Any,
        arguments: Any,
        results: list[View],
        keywords: dict[str, Any] | None = None,
        elementwise: bool = False,
    ) -> None:
        """Writes down a call."""
        number, operation = self.scope
        self.call_numbers.append(number)
        self.calls.append(
            Call(operation, name, form, function, arguments, keywords or {}, results, elementwise)
        )

    def made(self, array: Any) -> tuple[TracedArray, View]:
        """A new array of the run, and where it lies."""
        view = self.memory.view(array, INTERNAL)
        return self.keep(array), view

    # ---- array functions

    def do(self, name: str, *arguments: Any, **keywords: Any) -> Any:
        """Calls a function of the array module, or a method of the first argument, by name."""
        first = arguments[0]
        if name in _REDUCTIONS:
            return self._reduce(name, *arguments, **keywords)
        if name in _METHODS:
            return self.call(getattr(type(first.array), name), arguments, keywords)
        return self.call(getattr(self.xp, name), arguments, keywords)

    def _reduce(
        self,
        name: str,
        array: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: bool = False,
        **others: Any,
    ) -> Any:
        if self.xp is np and not others:
            function = getattr(np, _REDUCTIONS[name]).reduce
        else:
            function = getattr(self.xp, name)
        keywords = {"axis": axis, "dtype": dtype, "keepdims": keepdims, **others}
        if dtype is None:
            del keywords["dtype"]
        if out is not None:
            keywords["out"] = out
        return self.call(function, (array,), keywords)

    def call(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> Any:
        """Runs a function of the array module and writes it down."""
        self._check_open()
        name = function.__name__
        if name in _SHAPED_BY_VALUES:
            raise shape_of_values(name)
        if name in SPECIAL:
            return SPECIAL[name](self, *arguments, **keywords)
        if name in _WRITING:
            return self.write_into(function, arguments, keywords)
        given = keywords.get("out")
        if given is not None:
            self.protect(given)
        result = function(*unwrapped(arguments), **unwrapped_keywords(keywords))
        if name in _OF_SHAPES:
            return result
        if given is not None:
            self._record(function, arguments, keywords, self.view(given))
            return given
        if isinstance(result, tuple | list):
            return type(result)(
                self._result(_Part(function, place), arguments, keywords, part)
                for place, part in enumerate(result)
            )
        return self._result(function, arguments, keywords, result)

    def _result(
        self, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], result: Any
    ) -> Any:
        """What a function returned, traced; it is written down unless it is a view."""
        if isinstance(result, np.generic):
            result = np.asarray(result)
        if type(result) is not self.backend.array_type:
            if isinstance(result, np.dtype):
                return result
            raise value_read(function.__name__)
        if self._is_known(result):
            return self.keep(result)
        traced, view = self.made(result)
        self._record(function, arguments, keywords, view)
        return traced

    def _record(
        self,
        function: Any,
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        result: View,
    ) -> None:
        """Writes down a call that has made, or filled, one array."""
        is_ufunc = isinstance(function, self.xp.ufunc)
        owner = getattr(function, "__self__", None)
        name = function.__name__
        if isinstance(owner, np.ufunc):
            name = f"{owner.__name__}.{name}"
        takes_out = is_ufunc or isinstance(owner, np.ufunc) or name in _TAKING_OUT
        keywords = {key: value for key, value in keywords.items() if key != "out"}
        elementwise = is_ufunc and name != "matmul" and not keywords
        self.add(
            name,
            OUT if takes_out else FRESH,
            function,
            self.noted(arguments),
            [result],
            {key: self.noted(value) for key, value in keywords.items()},
            elementwise,
        )

    def _is_known(self, array: Any) -> bool:
        """Whether an array is a view of memory that has been met."""
        return bool(array.size) and self.memory.find(self.backend.address_of(array)) is not None

    # ---- new arrays

    def empty(self, array: Any) -> TracedArray:
        """An array that was made to be written to."""
        self.memory.add(array, INTERNAL)
        return self.keep(array)

    def filled(self, array: Any, value: Any) -> TracedArray:
        """An array that was filled with one value."""
        traced = self.empty(array)
        view = self.view(traced)
        self.add("fill", COPY, None, (value,), [view])
        if type(value) in (int, float) and value == 1:
            self.ones.add(view.buffer)
        return traced

    def constant_array(self, array: Any) -> TracedArray:
        """An array that depends on nothing: a copy, since it may be written to later on."""
        if not array.size:
            return self.empty(array)
        pristine = self.memory.add(array.copy(), CONSTANT)
        traced = self.empty(array)
        source = self.view(self.keep(pristine.array))
        self.add("constant", COPY, None, (source,), [self.view(traced)])
        return traced

    # ---- what arrays do themselves

    def copy(self, source: TracedArray, dtype: Any, order: str = "K") -> TracedArray:
        """The array in memory of its own, of a dtype."""
        self._check_open()
        traced, view = self.made(source.array.astype(dtype, order))
        name = "copy" if traced.array.dtype == source.array.dtype else "cast"
        self.add(name, COPY, None, (self.view(source),), [view])
        return traced

    def part(self, source: TracedArray, function: Callable[[Any], Any]) -> TracedArray:
        """A view in another shape, or where that is not possible, a copy in order."""
        self._check_open()
        result = function(source.array)
        if not result.size or self._is_known(result):
            return self.keep(result)
        traced, view = self.made(result)
        self.add("copy", COPY, None, (self.view(source),), [in_shape(view, source.shape)])
        return traced

    def getitem(self, source: TracedArray, key: Any) -> TracedArray:
        """`array[key]`: a view, or by arrays of indices a copy."""
        keys = key if type(key) is tuple else (key,)
        if any(isinstance(item, TracedArray | np.ndarray | list) for item in keys):
            if any(getattr(item, "dtype", None) == np.bool_ for item in keys):
                raise shape_of_values("an array indexed by bools")
            return self.call(operator.getitem, (source, key), {})  # type: ignore[no-any-return]
        if ... not in keys:
            keys = (*keys, ...)  # so that one element is a view, too
        return self.part(source, lambda array: array[keys])

    def setitem(self, target: Any, key: Any, value: Any) -> None:
        """`array[key] = value`."""
        keys = key if type(key) is tuple else (key,)
        if any(isinstance(item, TracedArray | np.ndarray | list) for item in keys):
            self.write_into(operator.setitem, (target, key, value), {})
            return
        target = self.array(target)
        if ... not in keys:
            keys = (*keys, ...)
        self.protect(target)
        place = target.array[keys]
        place[...] = unwrapped(value)
        self.add("copy", COPY, None, self.noted((value,)), [self.view(self.keep(place))])

    def write_into(
        self, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]
    ) -> None:
        """A function that writes into its first argument."""
        target = self.array(arguments[0])
        self.protect(target)
        function(*unwrapped(arguments), **unwrapped_keywords(keywords))
        views = self.noted(arguments)
        keywords = {key: self.noted(value) for key, value in keywords.items()}
        name = function.__name__
        self.add(name, IN_PLACE, function, views, [self.view(target)], keywords)

    def check(self, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        """Runs what raises for bad values, now and in each replay."""
        function(*unwrapped(arguments))
        self.add(function.__name__.strip("_"), IN_PLACE, function, self.noted(arguments), [])

    # ---- compiled kernels

    def twin(self, twins: Any, work: int, arguments: tuple[Any, ...]) -> Any:
        """A call of a compiled kernel."""
        if not self.is_here():
            return twins.run(work, *arguments)
        written = [arguments[p] for p in twins.writes if arguments[p] is not None]
        for array in written:
            self.protect(array)
        result = twins.run(work, *unwrapped(arguments))
        results = [self.view(array) for array in written]
        name = twins.function.__name__.strip("_")
        self.add(name, TWIN, (twins, work), self.noted(arguments), results)
        return result

    # ---- inside

    def _check_open(self) -> None:
        if not self.is_open:
            raise outlived()


class _Part:
    """One of several results of a function."""

    def __init__(self, function: Any, place: int) -> None:
        self.function, self.place = function, place
        self.__name__ = f"{function.__name__}[{place}]"

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self.function(*arguments, **keywords)[self.place]


def in_shape(view: View, shape: tuple[int, ...]) -> View:
    """The same elements, which lie in order, in another shape."""
    strides, step = [], int(view.dtype.itemsize)
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return view._replace(shape=tuple(shape), strides=tuple(reversed(strides)))


def unwrapped_keywords(keywords: dict[str, Any]) -> dict[str, Any]:
    """Keyword arguments with real arrays in place of traced ones."""
    return {key: unwrapped(value) for key, value in keywords.items()}

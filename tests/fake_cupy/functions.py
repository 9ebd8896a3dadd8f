"""The fake's universal functions, and the functions that need more than another signature."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.fake_cupy.array import checked, host, host_index, ndarray, wrap, wrapped
from tests.fake_cupy.tables import ATOMIC_DTYPES, ATOMIC_UFUNCS


class ufunc:
    """An elementwise function: arrays and scalars in, an array out."""

    def __init__(self, function: np.ufunc) -> None:
        self._function = function
        self.name = self.__name__ = function.__name__
        self.nin, self.nout, self.nargs = function.nin, function.nout, function.nargs

    def __call__(
        self, *args: Any, out: Any = None, dtype: Any = None, casting: str = "same_kind"
    ) -> Any:
        inputs = [host(value, "V", self.name) for value in args[: self.nin]]
        outputs = args[self.nin :] or (
            out if isinstance(out, tuple) else (out,) * (out is not None)
        )
        if self.name == "matmul" and any(is_batch_of_bfloat16(array) for array in inputs):
            raise TypeError("matmul: CuPy cannot multiply batches of bfloat16 matrices")
        with np.errstate(all="ignore"):  # a GPU gives inf and nan without a word
            result = self._function(
                *inputs,
                out=tuple(host(value, "A", f"{self.name}: out") for value in outputs) or None,
                dtype=dtype,
                casting=casting,
            )
        if not outputs:
            return wrap(result)
        return outputs[0] if self.nout == 1 else tuple(outputs)

    def at(self, a: ndarray, indices: Any, b: Any = None) -> None:
        """Apply in place at `indices`, with all the effects of those that come more than once."""
        if self.name not in ATOMIC_UFUNCS:
            raise NotImplementedError(f"`{self.name}.at` is not supported by CuPy")
        if a.dtype.name not in ATOMIC_DTYPES:
            raise TypeError(
                f"`{self.name}.at` does not support {a.dtype}: CUDA has no atomics for it"
            )
        with np.errstate(all="ignore"):
            self._function.at(
                a._host, host_index(indices, a.shape), host(b, "V", f"{self.name}.at")
            )

    def outer(self, a: Any, b: Any) -> ndarray:
        """The function of every pair."""
        return wrap(self._function.outer(host(a, "V", self.name), host(b, "V", self.name)))

    def reduce(
        self,
        array: ndarray,
        axis: Any = 0,
        dtype: Any = None,
        out: Any = None,
        keepdims: bool = False,
    ) -> ndarray:
        """A sum or a product; CuPy reduces with no other function."""
        return getattr(array, self._method({"add": "sum", "multiply": "prod"}))(
            axis, dtype, out, keepdims
        )

    def accumulate(
        self, array: ndarray, axis: int = 0, dtype: Any = None, out: Any = None
    ) -> ndarray:
        """A running sum or product."""
        return getattr(array, self._method({"add": "cumsum", "multiply": "cumprod"}))(
            axis, dtype, out
        )

    def _method(self, methods: dict[str, str]) -> str:
        if self.name not in methods:
            raise NotImplementedError(f"`{self.name}` does not reduce or accumulate in CuPy")
        return methods[self.name]


def is_batch_of_bfloat16(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.name == "bfloat16" and value.ndim > 2


def array(
    obj: Any,
    dtype: Any = None,
    copy: bool | None = True,
    order: str = "K",
    subok: bool = False,
    ndmin: int = 0,
) -> ndarray:
    """A new array from anything; what comes from the host is copied."""
    if not copy and isinstance(obj, ndarray) and dtype in (None, obj.dtype) and obj.ndim >= ndmin:
        return obj
    return wrap(np.array(unboxed(obj), dtype, copy=True, order=order, ndmin=ndmin))


def asarray(
    a: Any, dtype: Any = None, order: str | None = None, *, copy: bool | None = None
) -> ndarray:
    """The array itself where it is one of that dtype, else a new one."""
    return array(a, dtype, copy=copy, order=order or "K")


def unboxed(value: Any) -> Any:
    """Nested lists of the fake's arrays as nested lists of NumPy's."""
    if isinstance(value, (list, tuple)):
        return [unboxed(item) for item in value]
    return value._host if isinstance(value, ndarray) else value


def asnumpy(a: Any, stream: None = None, order: str = "C", out: np.ndarray | None = None) -> Any:
    """A copy on the host; what is not a CuPy array goes through `numpy.asarray`."""
    return a.get(order=order, out=out) if isinstance(a, ndarray) else np.asarray(a, order=order)


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """An array of rubbish, so that a test sees what is read before it is written."""
    return rubbish(np.empty(host(shape, "", "empty: shape"), dtype, order=order))


def empty_like(
    prototype: ndarray, dtype: Any = None, order: str = "K", subok: None = None, shape: Any = None
) -> ndarray:
    """As `empty`, with the shape and dtype of another array."""
    value = host(prototype, "A", "empty_like: prototype")
    return rubbish(np.empty_like(value, dtype, order, shape=shape))


def rubbish(value: np.ndarray) -> ndarray:
    """The array with every element NaN, the largest integer, or True."""
    kind = checked(value).dtype.kind
    value[...] = np.iinfo(value.dtype).max if kind in "iu" else True if kind == "b" else np.nan
    return wrap(value)


def take(a: ndarray, indices: Any, axis: int | None = None, out: ndarray | None = None) -> ndarray:
    """`a.take`: indices out of bounds are wrapped."""
    return a.take(indices, axis, out)


def take_along_axis(a: ndarray, indices: ndarray, axis: int) -> ndarray:
    """NumPy's, but that indices out of bounds are wrapped and that the axis has no default."""
    places = places_along(a, indices, axis)
    return wrap(np.take_along_axis(a._host, places, axis))


def put_along_axis(arr: ndarray, indices: ndarray, values: Any, axis: int) -> None:
    """NumPy's, but that indices out of bounds are wrapped."""
    places = places_along(arr, indices, axis)
    np.put_along_axis(arr._host, places, host(values, "V", "put_along_axis: values"), axis)


def places_along(a: ndarray, indices: ndarray, axis: int) -> np.ndarray:
    """Indices along one axis, within its bounds."""
    places = host(indices, "A", "indices")
    return wrapped(places, host(a, "A", "a").shape[axis])


def einsum(*operands: Any, dtype: Any = None, optimize: Any = False) -> ndarray:
    """NumPy's with the subscripts as a text, less its `out`, `order` and `casting`."""
    subscripts, *arrays = operands
    values = [host(value, "A", "einsum") for value in arrays]
    return wrap(np.einsum(subscripts, *values, dtype=dtype, optimize=optimize))

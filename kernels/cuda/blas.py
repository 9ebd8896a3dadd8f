"""Products by cuBLAS, called as it is: CuPy refuses to while a CUDA graph is made, and has no
products of bfloat16.

The library is that of the CUDA version that CuPy was built for. As elsewhere here, a device is used
by one stream at a time: all products share a workspace. cuBLAS reads matrices column by column, so
the transposed result is asked for: out^T = w x^T.
"""

from __future__ import annotations

import ctypes
import threading
from functools import cache, partial
from typing import Any

import numpy as np

from tinynn.kernels.cuda import compiler
from tinynn.kernels.cuda.arrays import Array, address

# dtype -> (cudaDataType, cublasComputeType, C's type of the factors)
_TYPES = {
    "float32": (0, 68, ctypes.c_float),
    "float64": (1, 70, ctypes.c_double),
    "float16": (2, 68, ctypes.c_float),
    "bfloat16": (14, 68, ctypes.c_float),
}
_TRANSPOSED, _AS_IT_IS, _ANY_ALGORITHM = 1, 0, -1
_WORKSPACE = 32 << 20  # bytes, what NVIDIA advises for GPUs since Hopper
_LIBRARIES = ("libcublas.so.{}", "cublas64_{}.dll")  # with the version of CUDA
_EXACT_SUMS = 16  # of cublasMath_t: no sums in less than float32

_lock = threading.RLock()


class Product:
    """out = x w^T, in the form in which a recorder keeps a launch; see `compiler.Launch`."""

    __name__ = "product"
    writes = (2,)

    @property
    def function(self) -> Product:
        return self

    def __call__(self, x: Array, weight: Array, out: Array) -> None:
        if compiler.observer is not None:
            compiler.observer(self, 0, (x, weight, out))
        else:
            self.run(0, x, weight, out)

    def run(self, work: int, x: Array, weight: Array, out: Array) -> None:
        gemm(x, weight, out)

    def bind(self, work: int, x: Array, weight: Array, out: Array) -> Any:
        return partial(self.run, work, x, weight, out)


# out [m, n] = x [m, k] weight [n, k]^T: contiguous arrays of one dtype, out of theirs or float32.
product = Product()


@cache
def is_there() -> bool:
    """Whether cuBLAS was found, and can be called here."""
    try:
        _own(compiler.current_device()[0])
    except (AttributeError, OSError, RuntimeError):
        return False
    return True


def _gemm(x: Array, weight: Array, out: Array) -> None:
    (rows, inner), outputs = x.shape, weight.shape[0]
    kind, compute, real = _TYPES[x.dtype.name]
    one, zero = real(1), real(0)
    with _lock:
        handle = _handle(compiler.current_device()[0])
        _checked(
            "cublasGemmEx",
            handle,
            *(_TRANSPOSED, _AS_IT_IS, outputs, rows, inner),
            ctypes.byref(one),
            *(ctypes.c_void_p(address(weight)), kind, inner),
            *(ctypes.c_void_p(address(x)), kind, inner),
            ctypes.byref(zero),
            *(ctypes.c_void_p(address(out)), _TYPES[out.dtype.name][0], outputs),
            *(compute, _ANY_ALGORITHM),
        )


# The tests put NumPy's product in its place.
gemm: Any = _gemm


@cache
def _library() -> Any:
    import cupy

    version = cupy.cuda.runtime.runtimeGetVersion() // 1000
    cupy.cuda.get_cublas_handle()  # which loads it
    names = [name.format(version) for name in _LIBRARIES]
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise OSError(f"none of {', '.join(names)} was found")


@cache
def _own(device: int) -> tuple[Any, Any]:
    """(a handle for a device, its workspace)."""
    import cupy

    workspace = cupy.empty(_WORKSPACE, np.uint8)
    handle = ctypes.c_void_p()
    _checked("cublasCreate_v2", ctypes.byref(handle))
    _checked("cublasSetMathMode", handle, _EXACT_SUMS)
    return handle, workspace


def _handle(device: int) -> Any:
    """The device's handle, on the stream that is current.

    A workspace of its own, or cuBLAS would take memory while a graph is made.
    """
    import cupy

    handle, workspace = _own(device)
    stream = ctypes.c_void_p(cupy.cuda.get_current_stream().ptr)
    _checked("cublasSetStream_v2", handle, stream)  # which also takes the workspace away
    place = ctypes.c_void_p(workspace.data.ptr)
    _checked("cublasSetWorkspace_v2", handle, place, ctypes.c_size_t(_WORKSPACE))
    return handle


def _checked(name: str, *arguments: Any) -> None:
    status = getattr(_library(), name)(*arguments)
    if status:
        raise RuntimeError(f"{name} failed with status {status} of cuBLAS")

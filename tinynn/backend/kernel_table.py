"""The table of kernels: what runs a fused operation on a backend.

`table.softmax_cross_entropy(logits, target, None, reduction="mean")` calls the backend's kernel of
that name. Where the backend has none, where the kernel answers NotImplemented (it does not take
this dtype or layout), or where it can't be compiled, the call goes to the reference instead.

Every kernel is `kernel(*arrays, out=None, **attributes)` and pure; one that writes arguments says
which: `table.mutates("sgd_step") == (0, 2)`. This is the one module that imports tinynn.kernels,
and it does so at the first call of a kernel, so that `import tinynn` does not load Numba.
"""

from __future__ import annotations

import threading
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Kernel = Callable[..., Any]

# Kernel -> the module of its kernel (kernels/cpu/) and of its reference (backend/reference/).
FAMILIES = {
    "linear_activation": "linear",
    "activation_backward": "linear",
    "gated_activation": "gating",
    "conv2d": "convolution",
    "conv2d_input_gradient": "convolution",
    "conv2d_weight_gradient": "convolution",
    "max_pool2d": "pooling",
    "max_pool2d_backward": "pooling",
    "softmax_cross_entropy": "losses",
    "softmax": "softmax",
    "softmax_backward": "softmax",
    "attention": "attention",
    "attention_backward": "attention",
    "decode_attention": "decoding",
    "merge_attention": "merging",
    "layer_norm": "normalization",
    "layer_norm_backward": "normalization",
    "rms_norm": "normalization",
    "rms_norm_backward": "normalization",
    "rope": "rotary",
    "append_kv": "kv_cache",
    "sgd_step": "optimizers",
    "adamw_step": "optimizers",
    "dropout": "dropout",
    "index_add": "indexing",
    "erf": "special",
    "affine_resample": "augment",
    "quantized_linear": "quantized",
    "quantized_rows": "quantized_rows",
    "half_linear": "half_linear",
}

# Backend -> the package of its kernels.
_PACKAGES = {"numpy": "cpu", "cupy": "cuda"}

_loading = threading.RLock()
_compiler: Any = None
_cuda_compiler: Any = None
_missing = False
_observer: Any = None


class KernelTable:
    """The kernels of one backend, as attributes; each is found when it is first asked for."""

    def __init__(self, package: str | None) -> None:
        self._package = package

    def __getattr__(self, name: str) -> Kernel:
        if name not in FAMILIES:
            raise AttributeError(f"no kernel is named {name!r}; there are {', '.join(FAMILIES)}")
        reference = _quiet(reference_of(name))
        kernel = self._kernel(name)
        found = reference if kernel is None else self._first_of(name, kernel, reference)
        setattr(self, name, found)
        return found

    def mutates(self, name: str) -> tuple[int, ...]:
        """The positions of the arrays that the kernel changes; none for a pure one."""
        return getattr(reference_of(name), "mutates", ())

    def _kernel(self, name: str) -> Kernel | None:
        load = {"cpu": _load_compiler, "cuda": _load_cuda_compiler}.get(str(self._package))
        if load is None or load() is None:
            return None
        module = f"tinynn.kernels.{self._package}.{FAMILIES[name]}"
        try:
            return getattr(import_module(module), name, None)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            return None  # a family that this backend has no kernels of

    def _first_of(self, name: str, kernel: Kernel, reference: Kernel) -> Kernel:
        refused = _compilation_error(self._package)

        def call(*arrays: Any, **attributes: Any) -> Any:
            try:
                result = kernel(*arrays, **attributes)
            except refused as error:
                _warn(f"the kernel {name} cannot be compiled ({str(error).splitlines()[0]})")
                setattr(self, name, reference)
                return reference(*arrays, **attributes)
            if result is NotImplemented:
                return reference(*arrays, **attributes)
            return result

        call.__name__ = call.__qualname__ = name
        call.__doc__ = reference.__doc__
        return call


def _compilation_error(package: str | None) -> type[Exception]:
    """What a kernel of a package raises where it can't be compiled."""
    if package == "cuda":
        from tinynn.kernels.cuda.compiler import CompilationError

        return CompilationError  # type: ignore[no-any-return]
    from numba.core.errors import NumbaError

    return NumbaError


_tables: dict[str, KernelTable] = {}


def table_for(backend: str) -> KernelTable:
    """The table of a backend, by its name; one without kernels of its own has the references.

    >>> import numpy as np
    >>> table_for("numpy").erf(np.zeros(2))
    array([0., 0.])
    """
    if backend not in _tables:
        _tables[backend] = KernelTable(_PACKAGES.get(backend))
    return _tables[backend]


def reference_of(name: str) -> Kernel:
    """The plain function that says what a kernel computes."""
    module = import_module(f"tinynn.backend.reference.{FAMILIES[name]}")
    reference: Kernel = getattr(module, name)
    return reference


def set_kernel_threads(number: int) -> None:
    """How many threads a kernel may use; known to the kernels once they are loaded."""
    if _compiler is not None:
        _compiler.set_num_threads(number)


def observe_kernels(observer: Any) -> None:
    """Hands calls of compiled functions to `observer(twins, work, arguments)`; None ends it."""
    global _observer
    _observer = observer
    for compiler in (_compiler, _cuda_compiler):
        if compiler is not None:
            compiler.observer = observer


def kernel_threading_layer() -> str:
    """What runs kernels on several threads: "omp", "tbb", or "serial" where neither loads."""
    compiler = _load_compiler()
    return "serial" if compiler is None else compiler.threading_layer()


def kernel_cache() -> tuple[Path | None, bool]:
    """(the folder of the compiled kernels, None where they can't be kept; whether it is empty)"""
    if _load_compiler() is None:
        return None, False
    from tinynn.kernels.cpu import compile_cache

    return compile_cache.folder(), compile_cache.is_empty()


def _load_compiler() -> Any:
    """Loads Numba, and tells the kernels where to keep compiled code and how many threads run.

    None, with a warning the first time, where it can't be loaded.
    """
    global _compiler, _missing
    with _loading:
        if _compiler is not None or _missing:
            return _compiler
        try:
            from tinynn.kernels.cpu import compile_cache, compiler
        except (ImportError, OSError) as error:  # OSError: of LLVM's shared library
            _missing = True
            _warn(f"the compiled kernels cannot be loaded ({error})")
            return None
        from tinynn.backend.threads import get_num_threads
        from tinynn.backend.user_cache import cache_folder

        compile_cache.keep_in(cache_folder() / "numba")
        compiler.set_num_threads(get_num_threads())
        compiler.observer = _observer
        _compiler = compiler
        return compiler


def _load_cuda_compiler() -> Any:
    """What has CuPy compile the CUDA kernels; it is told who observes."""
    global _cuda_compiler
    with _loading:
        if _cuda_compiler is None:
            from tinynn.kernels.cuda import compiler

            compiler.observer = _observer
            _cuda_compiler = compiler
        return _cuda_compiler


def _quiet(reference: Kernel) -> Kernel:
    """The reference without NumPy's warnings: kernels give inf and NaN without a word, too."""

    def call(*arrays: Any, **attributes: Any) -> Any:
        with np.errstate(all="ignore"):
            return reference(*arrays, **attributes)

    call.__name__ = call.__qualname__ = reference.__name__
    call.__doc__ = reference.__doc__
    return call


def _warn(reason: str) -> None:
    warnings.warn(
        f"{reason}; plain array operations take their place, more slowly",
        RuntimeWarning,
        stacklevel=4,
    )

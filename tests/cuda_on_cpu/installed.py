"""The harness in CuPy's place, under the launchers of tinynn.kernels.cuda."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any
from unittest import mock

import numpy as np

from tests.cuda_on_cpu.raw_module import RawModule
from tinynn.kernels import cuda
from tinynn.kernels.cuda import blas, compiler

_MULTIPROCESSORS = 2  # few, so that small arrays need more blocks than a GPU runs at once


@contextmanager
def installed(mutate: Any = None, alone: bool = False) -> Iterator[None]:
    """Launchers run on NumPy arrays inside, and memory from np.empty holds NaN.

    Arguments:
        mutate: (file name, source) -> another source, to plant a fault.
        alone: builds each instantiation by itself; else with all of the same kernel, at once.
    """
    sources: dict[str, str] = {}

    def source_of(file: str) -> str:
        text = original(file)
        text = mutate(file, text) if mutate else text
        sources[text] = file
        return text

    def build(code: str, options: Any, name_expressions: Any) -> RawModule:
        (name,) = name_expressions
        together = (name,) if alone else family_of(sources[code], name)
        return RawModule(code, options, together)

    original = compiler.source_of
    with (
        mock.patch.object(compiler, "source_of", source_of),
        mock.patch.object(compiler, "raw_module", build),
        mock.patch.object(compiler, "current_device", return_value=(0, _MULTIPROCESSORS)),
        mock.patch.object(compiler, "_kernels", {}),
        mock.patch.object(blas, "is_there", return_value=True),
        mock.patch.object(blas, "gemm", _gemm),
        mock.patch.object(np, "empty", _filled(np.empty)),
        mock.patch.object(np, "empty_like", _filled(np.empty_like)),
    ):
        yield


def launchers() -> list[Any]:
    """The modules of tinynn.kernels.cuda that list INSTANTIATIONS."""
    names = [module.name for module in pkgutil.iter_modules(cuda.__path__)]
    modules = [import_module(f"tinynn.kernels.cuda.{name}") for name in names]
    return [module for module in modules if hasattr(module, "INSTANTIATIONS")]


def family_of(file: str, name: str) -> tuple[str, ...]:
    """All instantiations of the same kernel, which are built together."""
    known = [pair for module in launchers() for pair in module.INSTANTIATIONS]
    assert (file, name) in known, f"({file}, {name}) is not in INSTANTIATIONS"
    kernel = name.partition("<")[0]
    return tuple(
        other for source, other in known if source == file and other.partition("<")[0] == kernel
    )


def _gemm(x: Any, weight: Any, out: Any) -> None:
    """What cuBLAS gives: sums of 16-bit numbers in float32, rounded once."""
    assert all(array.flags.c_contiguous for array in (x, weight, out))
    assert x.dtype == weight.dtype
    wide = np.float64 if x.dtype == np.float64 else np.float32
    out[...] = np.dot(x.astype(wide), weight.astype(wide).T).astype(out.dtype)


def _filled(allocate: Any) -> Any:
    def filled(*arguments: Any, **attributes: Any) -> Any:
        array = allocate(*arguments, **attributes)
        if array.size and array.flags.c_contiguous:
            array.reshape(-1).view(np.uint8)[...] = 0xFF
        return array

    return filled

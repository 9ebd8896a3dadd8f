"""Compiles CUDA sources by CuPy when a kernel is first used.

CuPy keeps compiled kernels on disk under a hash of the source alone, and a source that includes a
changed header would be served stale; so included files are put into the source here.
"""

from __future__ import annotations

import re
import threading
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
OPTIONS = ("--std=c++17",)

# Dynamic shared memory beyond this many bytes has to be asked for.
_SHARED_WITHOUT_ASKING = 48 * 1024

_INCLUDE = re.compile(r'#include "(?P<file>[\w.]+)"')
_PLACE = re.compile(r"^(?P<file>\w+\.cuh?)[(:](?P<line>\d+)", re.MULTILINE)

_compiling = threading.RLock()
_kernels: dict[tuple[int, str, str], Any] = {}


class CompilationError(RuntimeError):
    """A CUDA source that the compiler refuses, with its log and the line at fault."""


def load(file: str, instantiation: str, shared_memory: int = 0) -> Any:
    """A kernel for the current device: `kernel(grid, block, arguments, shared_mem=bytes)`.

    Arguments:
        file: a source in this folder, "dropout.cu".
        instantiation: a kernel in it, with its template arguments: "dropout<float, 4>".
        shared_memory: the most dynamic shared memory, in bytes, that a launch will ask for.

    Scalar arguments of a launch are NumPy's (np.int32(n), np.float32(p)); None is a null pointer.
    Raises CompilationError.
    """
    key = (current_device()[0], file, instantiation)
    kernel = _kernels.get(key)
    if kernel is None:
        with _compiling:
            kernel = _kernels[key] = _compiled(file, instantiation)
    if shared_memory > max(kernel.max_dynamic_shared_size_bytes, _SHARED_WITHOUT_ASKING):
        kernel.max_dynamic_shared_size_bytes = shared_memory
    return kernel


def source_of(file: str) -> str:
    """A source with what it includes from this folder put in its place, once each.

    `#line` tells the compiler where each part comes from.
    """
    return _flattened(file, set())


def _flattened(file: str, included: set[str]) -> str:
    included.add(file)
    lines = [f'#line 1 "{file}"']
    for number, line in enumerate((FOLDER / file).read_text().splitlines(), 1):
        include = _INCLUDE.match(line)
        if include is None:
            lines.append("" if line == "#pragma once" else line)
        else:
            if include["file"] not in included:
                lines.append(_flattened(include["file"], included))
            lines.append(f'#line {number + 1} "{file}"')
    return "\n".join(lines)


def _compiled(file: str, instantiation: str) -> Any:
    try:
        module = raw_module(
            code=source_of(file), options=OPTIONS, name_expressions=(instantiation,)
        )
        return module.get_function(instantiation)
    except Exception as error:
        raise CompilationError(explained(file, instantiation, str(error))) from error


def explained(file: str, instantiation: str, log: str) -> str:
    """What to tell about a failed compilation: the first error, its line in the source, the log."""
    errors = [line for line in log.splitlines() if "error" in line]
    message = f"{instantiation} of {file}: {(errors or log.splitlines() or ['no reason'])[0]}"
    place = _PLACE.search(log)
    if place is not None and (FOLDER / place["file"]).exists():
        number = int(place["line"])
        lines = (FOLDER / place["file"]).read_text().splitlines()
        message += (
            f"\n{place['file']}, line {number}: {''.join(lines[number - 1 : number]).strip()}"
        )
    return f"{message}\n{log.strip()}"


def _cupy_module(code: str, options: tuple[str, ...], name_expressions: tuple[str, ...]) -> Any:
    import cupy

    return cupy.RawModule(code=code, options=options, name_expressions=name_expressions)


def _cupy_device() -> tuple[int, int]:
    import cupy

    index = cupy.cuda.runtime.getDevice()
    return index, _multiprocessors(index)


@cache
def _multiprocessors(index: int) -> int:
    import cupy

    return int(cupy.cuda.Device(index).attributes["MultiProcessorCount"])


# What makes a module of kernels from a source, as cupy.RawModule does; and what tells (the index of
# the current device, its number of multiprocessors). The tests put others in their place.
raw_module: Any = _cupy_module
current_device: Any = _cupy_device

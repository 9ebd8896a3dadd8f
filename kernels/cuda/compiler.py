"""Compiles CUDA sources by CuPy when a kernel is first used.

CuPy keeps compiled kernels on disk under a hash of the source alone, and a source that includes a
changed header would be served stale; so included files are put into the source here.
"""

from __future__ import annotations

import re
import threading
from functools import cache, partial
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
OPTIONS = ("--std=c++17",)

# Dynamic shared memory beyond this many bytes has to be asked for.
_SHARED_WITHOUT_ASKING = 48 * 1024

_INCLUDE = re.compile(r'#include "(?P<file>[\w.]+)"')
_PLACE = re.compile(r"^(?P<file>\w+\.cuh?)[(:](?P<line>\d+)", re.MULTILINE)

_PARAMETERS = r"__global__[^;{{]*?\b{name}\((?P<parameters>[^{{]*)\)\s*{{"

# Who is handed the launches of kernels, while a step is being recorded.
observer: Any = None

_compiling = threading.RLock()
_kernels: dict[tuple[int, str, str], Kernel] = {}


class CompilationError(RuntimeError):
    """A CUDA source that the compiler refuses, with its log and the line at fault."""


class Kernel:
    """A compiled kernel: `kernel(grid, block, arguments, shared_mem=bytes)`.

    Attributes:
        function: as CuPy has it.
        name: its name in the source.
        writes: the positions of the arguments that it writes: pointers to what is not const.
    """

    def __init__(self, function: Any, name: str, writes: tuple[int, ...]) -> None:
        self.function = function
        self.name = name
        self.writes = writes

    def __call__(
        self,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        arguments: tuple[Any, ...],
        *,
        shared_mem: int = 0,
        refuse: Any = None,
    ) -> None:
        """Launches it. Scalar arguments are NumPy's (np.int32(n)); None is a null pointer.

        refuse: called as refuse(place, *arguments) where the last argument, an array of one
            integer, is not -1 afterwards, to raise what is to be said of a bad value. Reading it
            waits for the GPU.
        """
        launch = Launch(self, grid, block, shared_mem, refuse)
        if observer is not None:
            observer(launch, 0, arguments)
        else:
            launch.run(0, *arguments)


class Launch:
    """A kernel with all but its arguments, in the form in which a recorder keeps it.

    Its arguments may have to stay as far out of line as they were: which kernel it is may depend on
    that.
    """

    is_for_aligned = True

    __slots__ = ("__name__", "block", "grid", "kernel", "refuse", "shared_mem", "writes")

    def __init__(self, kernel: Kernel, grid: Any, block: Any, shared_mem: int, refuse: Any) -> None:
        self.kernel, self.grid, self.block = kernel, grid, block
        self.shared_mem, self.refuse = shared_mem, refuse
        self.writes = kernel.writes
        self.__name__ = kernel.name

    @property
    def function(self) -> Any:
        """What bears the name that a recorder shows."""
        return self

    def run(self, work: int, *arguments: Any) -> None:
        """Launches the kernel, unseen by an observer."""
        self.kernel.function(self.grid, self.block, arguments, shared_mem=self.shared_mem)
        if self.refuse is not None:
            place = int(arguments[-1][0])
            if place != -1:
                self.refuse(place, *arguments)

    def bind(self, work: int, *arguments: Any) -> Any:
        """The launch with these very arguments, to be made again and again."""
        return partial(self.run, work, *arguments)


def load(file: str, instantiation: str, shared_memory: int = 0) -> Kernel:
    """A kernel for the current device.

    Arguments:
        file: a source in this folder, "dropout.cu".
        instantiation: a kernel in it, with its template arguments: "dropout<float, 4>".
        shared_memory: the most dynamic shared memory, in bytes, that a launch will ask for.

    Raises CompilationError.
    """
    key = (current_device()[0], file, instantiation)
    kernel = _kernels.get(key)
    if kernel is None:
        with _compiling:
            kernel = _kernels[key] = _compiled(file, instantiation)
    function = kernel.function
    if shared_memory > max(function.max_dynamic_shared_size_bytes, _SHARED_WITHOUT_ASKING):
        function.max_dynamic_shared_size_bytes = shared_memory
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


def _compiled(file: str, instantiation: str) -> Kernel:
    code, name = source_of(file), instantiation.partition("<")[0]
    try:
        module = raw_module(code=code, options=OPTIONS, name_expressions=(instantiation,))
        return Kernel(module.get_function(instantiation), name, written_by(code, name))
    except Exception as error:
        raise CompilationError(explained(file, instantiation, str(error))) from error


def written_by(code: str, name: str) -> tuple[int, ...]:
    """The positions of the parameters of a kernel that point to what is not const.

    >>> written_by("__global__ void f(const float *x, float *out, int n) {}", "f")
    (1,)
    """
    found = re.search(_PARAMETERS.format(name=re.escape(name)), code)
    if found is None:
        raise ValueError(f"no __global__ function {name}")
    parameters = found["parameters"].split(",")
    return tuple(
        place
        for place, parameter in enumerate(parameters)
        if "*" in parameter and not parameter.strip().startswith("const")
    )


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

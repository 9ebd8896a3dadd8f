"""A stand-in for cupy.RawModule that runs on NumPy arrays, and is stricter about what it is given.

CuPy passes a Python float as a double and any array as an address, whatever the kernel expects, and
such mistakes show as wrong numbers. Here they are errors.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tests.cuda_on_cpu.build import built, scheduler

# In which order threads run where they may run in any; the number is the seed of "shuffled".
SCHEDULES = (("forward", 0), ("reverse", 0), ("shuffled", 1))
_ORDERS = {"forward": 0, "reverse": 1, "shuffled": 2}

_schedule = SCHEDULES[0]

_WITHOUT_ASKING = 48 * 1024  # bytes of dynamic shared memory that every GPU gives
_MOST = 227 * 1024


class LaunchError(RuntimeError):
    """A launch that a GPU would refuse, hang in, or answer with anything."""


@contextmanager
def scheduled(order: str, seed: int = 0) -> Iterator[None]:
    """Runs the threads of all launches inside in this order; see SCHEDULES."""
    global _schedule
    before, _schedule = _schedule, (order, seed)
    try:
        yield
    finally:
        _schedule = before


class RawModule:
    """Kernels of one source.

    Arguments: as of cupy.RawModule; of `options` those are heeded that define macros.
    The environment variable CUDA_ON_CPU_SANITIZER ("address", "thread") says how it is built.
    """

    def __init__(
        self, code: str, options: tuple[str, ...] = (), name_expressions: tuple[str, ...] = ()
    ) -> None:
        entries = [
            f"CUDA_ON_CPU_ENTRY({number}, {name})\n" for number, name in enumerate(name_expressions)
        ]
        source = "\n".join(
            ['#include "cuda_on_cpu.h"', '#line 1 "kernel"', code, '#line 1 "entries"', *entries]
        )
        sanitizer = os.environ.get("CUDA_ON_CPU_SANITIZER", "")
        definitions = tuple(option for option in options if option.startswith("-D"))
        self._scheduler = ctypes.CDLL(str(scheduler(sanitizer)), ctypes.RTLD_GLOBAL)
        self._library = ctypes.CDLL(str(built(source, sanitizer, definitions)))
        self._names = {name: number for number, name in enumerate(name_expressions)}

    def get_function(self, name: str) -> Kernel:
        return Kernel(self._scheduler, self._library, self._names[name], name)


class Kernel:
    """A kernel: `kernel(grid, block, arguments, shared_mem=0)`."""

    def __init__(
        self, scheduler: ctypes.CDLL, library: ctypes.CDLL, number: int, name: str
    ) -> None:
        self.name = name
        self.max_dynamic_shared_size_bytes = _WITHOUT_ASKING
        self._launch = getattr(library, f"launch_{number}")
        self._launch.restype = ctypes.c_char_p
        self._order = ctypes.c_int.in_dll(scheduler, "cuda_on_cpu_order")
        self._seed = ctypes.c_uint32.in_dll(scheduler, "cuda_on_cpu_seed")
        text = ctypes.create_string_buffer(1024)
        getattr(library, f"signature_{number}")(text)
        self._parameters = text.value.decode().split()

    def __call__(
        self,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        args: tuple[Any, ...],
        *,
        shared_mem: int = 0,
    ) -> None:
        """Raises LaunchError for what a GPU would refuse, and for what goes wrong in a block."""
        self._check_sizes(grid, block, shared_mem)
        if len(args) != len(self._parameters):
            raise LaunchError(
                f"{self.name}: got {len(args)} arguments, expected {len(self._parameters)}"
            )
        values = [
            self._value(place, *pair)
            for place, pair in enumerate(zip(args, self._parameters, strict=True))
        ]
        addresses = (ctypes.c_void_p * len(values))(*map(ctypes.addressof, values))
        self._order.value, self._seed.value = _ORDERS[_schedule[0]], _schedule[1]
        message = self._launch(
            addresses, _three(grid), _three(block), ctypes.c_size_t(int(shared_mem))
        )
        if message is not None:
            raise LaunchError(f"{self.name}: {message.decode()}")

    def _check_sizes(self, grid: tuple[int, ...], block: tuple[int, ...], shared: int) -> None:
        limits = (2**31 - 1, 65535, 65535)
        if not all(1 <= size <= most for size, most in zip(grid, limits, strict=False)):
            raise LaunchError(f"{self.name}: a grid of {grid}")
        if not 1 <= np.prod(block) <= 1024:
            raise LaunchError(f"{self.name}: a block of {block}; at most 1024 threads")
        allowed = min(self.max_dynamic_shared_size_bytes, _MOST)
        if not 0 <= shared <= allowed:
            raise LaunchError(
                f"{self.name}: {shared} bytes of dynamic shared memory; {allowed} were asked for"
            )

    def _value(self, place: int, argument: Any, parameter: str) -> Any:
        """The argument as C has it; `parameter` is "f4", or "*f4" for an address of such."""
        if parameter.startswith("*"):
            if argument is None:
                return ctypes.c_void_p(None)
            if isinstance(argument, np.ndarray) and _fits(argument.dtype, parameter[1:]):
                return ctypes.c_void_p(argument.__array_interface__["data"][0])
        elif isinstance(argument, np.generic) and _fits(argument.dtype, parameter):
            return ctypes.create_string_buffer(argument.tobytes())
        described = getattr(argument, "dtype", "")
        raise LaunchError(
            f"{self.name}: argument {place} is {type(argument).__name__} {described}, "
            f"expected {parameter}"
        )


def _fits(dtype: np.dtype[Any], kind: str) -> bool:
    """Whether an element is what C calls so; void and structures take anything."""
    own = "B2" if dtype.name == "bfloat16" else f"{dtype.kind}{dtype.itemsize}"
    return kind[0] in "vV" or kind == own


def _three(sizes: tuple[int, ...]) -> Any:
    return (ctypes.c_uint * 3)(*(*map(int, sizes), 1, 1)[:3])

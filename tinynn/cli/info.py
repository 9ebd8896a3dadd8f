"""`tinynn info`: what tinynn runs on here, what is missing, and how to get it."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from textwrap import fill
from typing import Any

from tinynn.cli.options import DeviceOption, SeedOption, ThreadsOption, prepare

__all__ = ["EXAMPLES", "info"]

EXAMPLES = """\b
Examples:
  tinynn info
  tinynn info --device cuda
"""

LIBRARIES = ("numpy", "numba", "llvmlite", "threadpoolctl", "safetensors", "ml_dtypes", "cupy")
NAME_WIDTH = 10


def info(device: DeviceOption = "cpu", threads: ThreadsOption = 1, seed: SeedOption = 0) -> None:
    """Show versions, BLAS, threads, SIMD, GPU and caches, and what is missing.

    With --device, fails where that device cannot be used.
    """
    prepare(device, seed, threads)
    for name, value in facts():
        print(labelled(name, value))
    for gap in gaps() or ["nothing"]:
        print(labelled("missing", gap))


def labelled(name: str, value: str) -> str:
    """A fact in lines of at most 100 columns, its name before the first."""
    indent = " " * (NAME_WIDTH + 2)
    return fill(
        f"{name:<{NAME_WIDTH}}  {value}",
        width=100,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def facts() -> Iterator[tuple[str, str]]:
    """(name, value), a line each."""
    import tinynn
    from tinynn.backend.kernel_table import kernel_cache
    from tinynn.backend.threads import get_num_threads, threading_layer

    yield "tinynn", f"{tinynn.__version__} in {Path(tinynn.__file__).parent}"
    yield "python", f"{platform.python_version()} ({sys.executable})"
    yield "system", f"{platform.system()} {platform.release()}, {platform.machine()}"
    yield "libraries", ", ".join(f"{name} {version(name)}" for name in LIBRARIES if version(name))
    yield "processor", f"{processor_name()}, {simd()}"
    yield "blas", blas()
    processors = os.cpu_count()
    yield (
        "threads",
        f"{get_num_threads()} of {processors} processors used, kernels through {threading_layer()}",
    )
    yield "gpu", gpu()[0]
    kept = kernel_cache()[0]
    yield "kernels", str(kept or "compiled anew by each process: no folder to keep them in")
    yield "mnist", str(mnist_folder())


def gaps() -> list[str]:
    """What is missing, each with the way to get it."""
    from tinynn.backend.threads import threading_layer

    found = []
    if gpu()[1] is not None:
        found.append(f"a GPU: {gpu()[1]}")
    if threading_layer() == "serial":
        found.append("OpenMP, for kernels on several threads: apt install libgomp1")
    if not mnist_folder().exists():
        found.append("MNIST: tinynn train mnist fetches it the first time")
    return found


def version(library: str) -> str | None:
    """The installed version; CuPy comes under several names."""
    for name in (library, f"{library}-cuda12x", f"{library}-cuda13x"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def processor_name() -> str:
    from llvmlite.binding import get_host_cpu_name

    return str(get_host_cpu_name())


def simd() -> str:
    """The instruction sets that NumPy uses here, beyond those that it takes for granted."""
    import numpy as np

    found: Any = np.show_config(mode="dicts")
    return " ".join(found.get("SIMD Extensions", {}).get("found", [])) or "no special SIMD"


def blas() -> str:
    """The libraries of matrix products that are loaded, with their threads."""
    import numpy as np
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))
    names = [
        f"{pool['internal_api']} {pool['version']} ({pool.get('architecture', 'unknown')} kernels)"
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    ]
    return ", ".join(names) or "unknown"


def gpu() -> tuple[str, str | None]:
    """The GPU, and what is missing to use it, if anything is."""
    from tinynn.backend.devices import Device, backend_for

    try:
        runtime = backend_for(Device("cuda")).xp.cuda.runtime
    except RuntimeError as error:
        return "none", str(error).removeprefix("device: ")
    properties = runtime.getDeviceProperties(0)
    memory = properties["totalGlobalMem"] / 2**30
    return f"{properties['name'].decode()}, {memory:.0f} GiB", None


def mnist_folder() -> Path:
    from tinynn.backend.user_cache import cache_folder

    return cache_folder() / "mnist"

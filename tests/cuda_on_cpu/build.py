"""Builds of kernels with g++, each made once and kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from functools import cache
from pathlib import Path

from tinynn.backend.user_cache import cache_folder

HERE = Path(__file__).parent
_COMMON = ("-std=c++17", "-fPIC", "-w", f"-I{HERE / 'include'}")
_DAYS_KEPT = 14

# Sanitizer -> (flags of the kernels, flags of the scheduler). An error is reported and the run goes
# on, so that one process can try many things. With optimizations g++ would take three times as long
# for AddressSanitizer.
_FLAGS = {
    "": (["-O1"], ["-O2"]),
    "address": (
        [
            "-O0",
            "-g1",
            "-fno-omit-frame-pointer",
            "-fsanitize=address,undefined",
            "-fno-sanitize=vptr",
            "-fsanitize-recover=address,undefined",
        ],
        ["-O2", "-DWITH_ADDRESS_SANITIZER"],
    ),
    "thread": (["-O1", "-g1", "-fsanitize=thread"], ["-O2", "-DWITH_THREAD_SANITIZER"]),
}


class BuildError(RuntimeError):
    """g++ refuses a source."""


@cache
def why_no_compiler() -> str | None:
    """Why kernels cannot be built here, or None where they can."""
    if shutil.which("g++") is None:
        return "g++ is not installed, so no CUDA kernel was run (apt install g++)"
    version = subprocess.run(["g++", "-dumpversion"], capture_output=True, text=True, check=True)
    if int(version.stdout.partition(".")[0]) < 12:
        return f"g++ {version.stdout.strip()} has no _Float16 (12 has), so no CUDA kernel was run"
    return None


def built(source: str, sanitizer: str = "", definitions: tuple[str, ...] = ()) -> Path:
    """The shared library of a source, built now if it was never built before.

    It needs the library of `scheduler`, loaded before. Raises BuildError with what g++ says.
    """
    flags = (*_COMMON, *_processor_flags(), *_FLAGS[sanitizer][0], *definitions)
    header = _built((HERE / "include/cuda_on_cpu.h").read_text(), flags, "cuda_on_cpu.h.gch")
    return _built(source, (f"-I{header.parent}", *flags), "kernels.so")


@cache
def scheduler(sanitizer: str = "") -> Path:
    """The shared library of the scheduler, which all kernels of a process have in common."""
    flags = (*_COMMON, *_FLAGS[sanitizer][1])
    return _built((HERE / "runtime.cpp").read_text(), flags, "scheduler.so")


def _built(source: str, flags: tuple[str, ...], name: str) -> Path:
    """A file of this name: a shared library, or the header as g++ has read it (.gch), which saves
    half of the time of a small source. Other processes that ask for the same one wait."""
    inputs = "\0".join([_harness(), source, *flags])
    folder = cache_folder() / "cuda-on-cpu" / hashlib.sha256(inputs.encode()).hexdigest()[:24]
    folder.mkdir(parents=True, exist_ok=True)
    result, part, text = folder / name, folder / f"{name}.part", folder / "source.cpp"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not result.exists():
            _remove_old(folder.parent)
            text.write_text(source)
            kind = ["-x", "c++-header"] if name.endswith(".gch") else ["-shared"]
            _run([*flags, *kind, str(text), "-o", str(part)])
            part.replace(result)
        os.utime(folder)
    return result


def _run(arguments: list[str]) -> None:
    # Not with the sanitizer that this process may have been started with.
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    result = subprocess.run(
        ["g++", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise BuildError(result.stderr)


@cache
def _harness() -> str:
    files = sorted((HERE / "include").iterdir())
    return "\0".join(path.read_text() for path in files)


@cache
def _processor_flags() -> list[str]:
    """Instructions for fused multiply-add and float16, where the processor has them."""
    try:
        words = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return []
    return [f"-m{feature}" for feature in ("fma", "f16c", "avx2") if feature in words]


def _remove_old(folder: Path) -> None:
    limit = time.time() - _DAYS_KEPT * 86400
    for path in folder.iterdir():
        if path.stat().st_mtime < limit:
            shutil.rmtree(path, ignore_errors=True)

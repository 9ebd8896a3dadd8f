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
_COMMON = ["-std=c++17", "-fPIC", "-w", f"-I{HERE / 'include'}"]
_DAYS_KEPT = 14

# Sanitizer -> (flags of the kernels, flags of the scheduler). An error is reported and the run goes
# on, so that one process can try many things.
_FLAGS = {
    "": (["-O1"], ["-O2"]),
    "address": (
        [
            "-O1",
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

    Other processes that ask for the same one wait. Raises BuildError with what g++ says.
    """
    kernel_flags, scheduler_flags = _FLAGS[sanitizer]
    flags = [*_COMMON, *_processor_flags(), *definitions]
    inputs = "\0".join([_harness(), source, *flags, *kernel_flags, *scheduler_flags])
    folder = cache_folder() / "cuda-on-cpu"
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(inputs.encode()).hexdigest()[:24]
    library = folder / f"{name}.so"
    scheduler = folder / f"{_hash_of(_harness(), *flags, *scheduler_flags)}.o"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not library.exists():
            _remove_old(folder)
            _scheduler(scheduler, [*flags, *scheduler_flags])
            text = folder / f"{name}.cpp"
            text.write_text(source)
            part = folder / f"{name}.part"
            _run([*flags, *kernel_flags, "-shared", str(text), str(scheduler), "-o", str(part)])
            part.replace(library)
        os.utime(library)
    return library


def _scheduler(path: Path, flags: list[str]) -> None:
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            part = path.with_suffix(".part")
            _run([*flags, "-c", str(HERE / "runtime.cpp"), "-o", str(part)])
            part.replace(path)
        os.utime(path)


def _run(arguments: list[str]) -> None:
    result = subprocess.run(["g++", *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        raise BuildError(result.stderr)


@cache
def _harness() -> str:
    files = [HERE / "runtime.cpp", *sorted((HERE / "include").iterdir())]
    return "\0".join(path.read_text() for path in files)


def _hash_of(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


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
            path.unlink(missing_ok=True)

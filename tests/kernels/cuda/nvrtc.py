"""NVIDIA's compiler as a library, which needs no GPU: what ptxas tells of each kernel.

The package nvidia-cuda-nvrtc brings the compiler, nvidia-cuda-runtime the headers.
"""

from __future__ import annotations

import ctypes
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tinynn.kernels.cuda import compiler

_ENTRY = re.compile(
    r"Compiling entry function '(?P<name>\w+)'.*?"
    r"(?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads.*?"
    r"Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
    re.DOTALL,
)


class Resources(NamedTuple):
    """What a thread or block of a kernel takes: registers, and bytes."""

    registers: int
    shared: int
    spilled: int


def why_missing() -> str | None:
    """Why nothing can be compiled for a GPU here, or None where it can."""
    if _folder() is None:
        return (
            "NVRTC is not installed, so no CUDA kernel was compiled for a GPU "
            "(pip install nvidia-cuda-nvrtc nvidia-cuda-runtime)"
        )
    return None


def version() -> str:
    """Of NVRTC: "13.0"."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    _call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
    return f"{major.value}.{minor.value}"


def resources_of(file: str, names: list[str], architecture: str) -> dict[str, Resources]:
    """What each instantiation in a source takes on an architecture ("sm_90").

    Raises RuntimeError with the compiler's log.
    """
    program = ctypes.c_void_p()
    source = compiler.source_of(file).encode()
    _call("nvrtcCreateProgram", ctypes.byref(program), source, file.encode(), 0, None, None)
    try:
        for name in names:
            _call("nvrtcAddNameExpression", program, name.encode())
        options = [
            f"--gpu-architecture={architecture}",
            f"--include-path={_folder() / 'include'}",  # type: ignore[operator]
            "--ptxas-options=-v",
            *compiler.OPTIONS,
        ]
        array = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        failed = _library().nvrtcCompileProgram(program, len(options), array)
        log = _log(program)
        if failed:
            raise RuntimeError(f"{file} for {architecture}:\n{log}")
        found = {match["name"]: _read(match) for match in _ENTRY.finditer(log)}
        return {name: found[_lowered(program, name)] for name in names}
    finally:
        _call("nvrtcDestroyProgram", ctypes.byref(program))


def _read(match: re.Match[str]) -> Resources:
    shared = re.search(r"(\d+) bytes smem", match["rest"])
    return Resources(
        int(match["registers"]),
        int(shared[1]) if shared else 0,
        int(match["stores"]) + int(match["loads"]),
    )


def _log(program: ctypes.c_void_p) -> str:
    size = ctypes.c_size_t()
    _call("nvrtcGetProgramLogSize", program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    _call("nvrtcGetProgramLog", program, text)
    return text.value.decode()


def _lowered(program: ctypes.c_void_p, name: str) -> str:
    """The name of an instantiation as the linker knows it."""
    text = ctypes.c_char_p()
    _call("nvrtcGetLoweredName", program, name.encode(), ctypes.byref(text))
    return (text.value or b"").decode()


def _call(name: str, *arguments: Any) -> None:
    code = getattr(_library(), name)(*arguments)
    if code:
        raise RuntimeError(f"{name} fails with {code}")


@cache
def _folder() -> Path | None:
    """Where the packages lie, the newest of several."""
    found = [
        folder
        for path in sys.path
        for folder in Path(path).glob("nvidia/cu[0-9]*")
        if list(folder.glob("lib/libnvrtc.so.*")) and (folder / "include/cuda_fp16.h").exists()
    ]
    return max(found, default=None)


@cache
def _library() -> ctypes.CDLL:
    folder = _folder()
    assert folder is not None
    for builtins in folder.glob("lib/libnvrtc-builtins.so.*"):
        ctypes.CDLL(str(builtins), ctypes.RTLD_GLOBAL)
    (library,) = folder.glob("lib/libnvrtc.so.*")
    return ctypes.CDLL(str(library))

"""What figures depend on: the processor, how busy it is, and the versions of what computes."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

__all__ = ["ABSENT", "installed", "machine", "processor", "usable_cores", "version", "versions"]

ABSENT = "absent"
PACKAGES = ("numpy", "numba", "cupy-cuda12x", "cupy-cuda13x", "torch")


def usable_cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """What the figures depend on: the processor, its cores and how busy they are."""
    return {
        "processor": processor(),
        "cores": usable_cores(),
        "load": round(os.getloadavg()[0], 1),
        "system": platform.platform(terse=True),
    }


def versions() -> dict[str, str]:
    """The versions of Python, tinynn and the packages that figures depend on."""
    packages = {name: version(name) for name in ("tinynn", *PACKAGES)}
    return {"python": platform.python_version()} | packages


def installed() -> list[str]:
    """The same as text, "numpy 2.4.6", without what is absent."""
    return [f"{name} {number}" for name, number in versions().items() if number != ABSENT]


def version(package: str) -> str:
    """The installed version of a package, or ABSENT."""
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ABSENT


def processor() -> str:
    """The processor's name as Linux gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())

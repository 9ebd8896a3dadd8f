"""Where compiled kernels are kept between processes.

Numba's own cache looks at the file of a kernel, not at the functions that it calls in other files,
and two processes that fill it at the same time can mix up its entries. So the kernels have their
own folder, named after a hash of all their sources, Numba's version and the processor; and an entry
is written under a lock. What can't be read or written costs a compilation, never an error.
"""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numba
from llvmlite import binding
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator

try:
    import fcntl
except ImportError:  # not a POSIX system: entries are written without a lock
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SOURCES = Path(__file__).parent
_folder: Path | None = None


def fingerprint() -> str:
    """A hash of everything that a compiled kernel depends on."""
    digest = hashlib.sha256()
    for source in sorted(_SOURCES.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    processor = binding.get_host_cpu_name() + binding.get_host_cpu_features().flatten()
    digest.update(f"{numba.__version__} {processor}".encode())
    return digest.hexdigest()[:20]


def keep_in(folder: Path) -> None:
    """Keeps the kernels compiled from now on under `folder`; warns where it can't be written."""
    global _folder
    path = folder / fingerprint()
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        _folder = None
        warnings.warn(
            f"compiled kernels cannot be kept in {folder} ({error.strerror}), so that every "
            "process compiles them anew; set TINYNN_CACHE to a folder that can be written",
            RuntimeWarning,
            stacklevel=2,
        )
    else:
        _folder = path


def folder() -> Path | None:
    """The folder in use, or None where compiled kernels are not kept."""
    return _folder


def is_empty() -> bool:
    """Whether no compiled kernel is there to be loaded."""
    return _folder is None or not any(_folder.rglob("*.nbc"))


def cache_for(function: Callable[..., Any], variant: str) -> FunctionCache | None:
    """A cache for one variant (serial, parallel) of a function, or None where nothing is kept."""
    if _folder is None:
        return None
    return _locating(_folder / variant)(function)


def _locating(path: Path) -> type[FunctionCache]:
    class Locator(_CacheLocator):  # type: ignore[misc]
        """Numba's question where to put a function's entry, answered."""

        @classmethod
        def from_function(cls, function: Callable[..., Any], source: str) -> Locator:
            path.mkdir(exist_ok=True)
            return cls(function)

        def __init__(self, function: Callable[..., Any]) -> None:
            self._line = function.__code__.co_firstlineno

        def get_cache_path(self) -> str:
            return str(path)

        def get_source_stamp(self) -> str:
            return path.parent.name

        def get_disambiguator(self) -> str:
            return str(self._line)

    class Entries(CompileResultCacheImpl):  # type: ignore[misc]
        _locator_classes = (Locator,)

    class Cache(FunctionCache):  # type: ignore[misc]
        _impl_class = Entries

        def load_overload(self, signature: Any, target: Any) -> Any:
            try:
                return super().load_overload(signature, target)
            except (OSError, EOFError, ValueError, AttributeError, pickle.UnpicklingError):
                # Damaged: forgotten, so that it is compiled and written anew.
                with contextlib.suppress(OSError), _locked(path / ".lock"):
                    self.flush()
                return None

        def save_overload(self, signature: Any, result: Any) -> None:
            try:
                with _locked(path / ".lock"):
                    super().save_overload(signature, result)
            except (OSError, EOFError, pickle.UnpicklingError) as error:
                warnings.warn(
                    f"a compiled kernel could not be kept in {path} ({error})",
                    RuntimeWarning,
                    stacklevel=2,
                )

    return Cache


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield

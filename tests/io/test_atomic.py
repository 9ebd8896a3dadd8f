"""Files and folders appear whole or not at all."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from tinynn.io import atomic_folder, atomic_write, remove_leftovers


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


@contextmanager
def largest_file(size):
    """No file may grow beyond `size`: writing fails as on a full disk, with another errno."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize(("mode", "content"), [("wb", b"\xff\x00new"), ("w", "neu: ü")])
def test_writes_and_replaces(tmp_path, mode, content):
    path = tmp_path / "file"
    for _ in range(2):
        with atomic_write(path, mode) as file:
            file.write(content)
        assert path.read_bytes() == (content if mode == "wb" else content.encode())
    assert names(tmp_path) == ["file"]


def test_old_content_stays_until_the_block_ends(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with atomic_write(path, "w") as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt(), OSError("x")])
def test_an_exception_leaves_the_old_file_alone(tmp_path, error):
    path = tmp_path / "file"
    path.write_text("old")

    def fail():
        with atomic_write(path, "w") as file:
            file.write("half")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("size", [100, 1_000_000])  # fails when the file is closed, or when written
def test_a_full_disk_is_one_error_that_names_the_file(tmp_path, size):
    path = tmp_path / "file"
    path.write_text("old")
    with (
        largest_file(50),
        pytest.raises(OSError, match="file") as caught,
        atomic_write(path) as file,
    ):
        file.write(bytes(size))
    assert caught.value.filename == str(path)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_missing_folder_is_named_by_its_file(tmp_path):
    path = tmp_path / "missing" / "file"
    with pytest.raises(FileNotFoundError) as caught, atomic_write(path):
        pass
    assert caught.value.filename == str(path)


def test_follows_a_symbolic_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with atomic_write(tmp_path / "link", "w") as file:
        file.write("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "new"


def test_refuses_what_it_cannot_replace(tmp_path):
    for path in (tmp_path, Path("/dev/null")):
        with pytest.raises(ValueError, match=f"{path} is not a regular file"), atomic_write(path):
            pass
    with pytest.raises(ValueError, match="mode is 'a'"), atomic_write(tmp_path / "file", "a"):
        pass
    assert not Path("/dev/null").is_file()
    assert names(tmp_path) == []


def test_folder_appears_whole(tmp_path):
    with atomic_folder(tmp_path / "run") as temporary:
        (temporary / "deep").mkdir()
        (temporary / "deep" / "file").write_text("content")
        assert names(tmp_path) == [temporary.name]
    assert names(tmp_path) == ["run"]
    assert (tmp_path / "run" / "deep" / "file").read_text() == "content"


def test_folder_leaves_nothing_after_an_exception(tmp_path):
    def fail():
        with atomic_folder(tmp_path / "run") as temporary:
            (temporary / "file").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert names(tmp_path) == []


def test_folder_never_replaces(tmp_path):
    """Neither a folder that was there before, nor one that came meanwhile."""
    folder = tmp_path / "run"

    def race():
        with atomic_folder(folder) as temporary:
            folder.mkdir()
            (folder / "theirs").touch()
            (temporary / "ours").touch()

    with pytest.raises(FileExistsError, match="run"):
        race()
    with pytest.raises(FileExistsError, match="run"), atomic_folder(folder):
        pytest.fail("the block must not run")
    assert names(folder) == ["theirs"]
    assert names(tmp_path) == ["run"]


def test_leftovers_of_killed_processes_are_removed(tmp_path):
    program = f"""
import os, signal
from tinynn.io import atomic_folder, atomic_write
with atomic_folder({str(tmp_path / "run")!r}) as temporary:
    (temporary / "file").touch()
    with atomic_write({str(tmp_path / "file")!r}):
        os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(names(tmp_path)) == 2
    (tmp_path / "mine.tmp").touch()
    (tmp_path / ".mine").touch()
    remove_leftovers(tmp_path)
    assert names(tmp_path) == [".mine", "mine.tmp"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    target = tmp_path / "model"
    for content in ("old", "new"):
        with atomic_folder(target, overwrite=True) as folder:
            (folder / content).write_text(content)
            assert names(target) == ["old"] if content == "new" else not target.exists()
    assert names(target) == ["new"]
    assert names(tmp_path) == ["model"]


def test_a_folder_stays_where_its_replacement_fails(tmp_path, monkeypatch):
    target = tmp_path / "model"
    target.mkdir()
    (target / "old").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_folder(target, overwrite=True):
        1 / 0  # noqa: B018
    rename = os.rename

    def fail_at_the_second(source, goal):
        if calls.append(goal) or len(calls) == 2:
            raise OSError(5, "Input/output error", str(source))
        rename(source, goal)

    calls = []
    monkeypatch.setattr(os, "rename", fail_at_the_second)
    with pytest.raises(OSError, match="model"), atomic_folder(target, overwrite=True) as folder:
        (folder / "new").write_text("new")
    assert (target / "old").read_text() == "old"
    assert names(tmp_path) == ["model"]


def test_a_file_is_not_replaced_by_a_folder(tmp_path):
    (tmp_path / "model").write_text("mine")
    with pytest.raises(FileExistsError), atomic_folder(tmp_path / "model", overwrite=True):
        pass
    assert (tmp_path / "model").read_text() == "mine"

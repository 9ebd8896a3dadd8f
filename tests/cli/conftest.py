"""Drawn digits and a made text as the data of every command, and one trained run."""

import os
from pathlib import Path

import pytest

import tinynn as tn
from tests.training.drawn_digits import write_dataset
from tinynn.backend.user_cache import cache_folder
from tinynn.cli.app import run

VERSES = "".join(f"To be, or {number} times not to be: that is it.\n" for number in range(400))


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "verses.txt"
    path.write_text(VERSES)
    return path


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """A cache folder in which MNIST is drawn digits and Shakespeare a few verses; compiled kernels
    are the user's own."""
    folder = tmp_path_factory.mktemp("cache")
    write_dataset(folder / "mnist", train=1200, test=1000)
    (folder / "shakespeare").mkdir()
    (folder / "shakespeare" / "shakespeare.txt").write_text(VERSES)
    kernels = cache_folder() / "numba"
    kernels.mkdir(parents=True, exist_ok=True)
    (folder / "numba").symlink_to(kernels)
    return folder


@pytest.fixture(autouse=True)
def apart(cache, tmp_path, monkeypatch):
    """Every test works in a folder of its own, with one thread and no settings of a terminal."""
    monkeypatch.setenv("TINYNN_CACHE", str(cache))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS", "TINYNN_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    before = tn.get_num_threads()
    tn.set_num_threads(1)
    yield
    tn.set_num_threads(before)


@pytest.fixture(scope="session")
def trained(cache, tmp_path_factory):
    """The folder of a finished run of three epochs."""
    folder = tmp_path_factory.mktemp("runs") / "trained"
    before = os.environ.get("TINYNN_CACHE")
    os.environ["TINYNN_CACHE"] = str(cache)
    command = ["train", "mnist", "--epochs", "3", "--batch-size", "32", "--hidden", "32"]
    status = run([*command, "--threads", "1", "--out", str(folder)])
    if before is None:
        del os.environ["TINYNN_CACHE"]
    else:
        os.environ["TINYNN_CACHE"] = before
    assert status == 0
    return folder

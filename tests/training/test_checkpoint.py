"""Checkpoints come back whole, or say that they are damaged."""

import json
import math
import os
import resource
import shutil

import ml_dtypes
import numpy as np
import pytest

import tinynn as tn
from tinynn.training import Checkpoints, DamagedCheckpoint, TrainingWarning, load_checkpoint

MODEL = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3)}
STATE = {
    "epoch": 3,
    "done": False,
    "nothing": None,
    "rates": [0.1, 1e-300, 2**-1074, math.inf],
    "generator": {"state": 2**127 + 1},
    "optimizer": {"state": {0: {"step": 4, "momentum": np.array([0.1, -0.2])}, 1: {}}},
    "half": np.array([1.5, -2.5], ml_dtypes.bfloat16),
    "flags": np.array([[True], [False]]),
}
FILES = ("model.safetensors", "training.safetensors", "state.json")


def assert_same(tree, expected):
    if isinstance(expected, np.ndarray):
        assert tree.dtype == expected.dtype
        np.testing.assert_array_equal(tree, expected)
    elif isinstance(expected, dict):
        assert list(tree) == list(expected)
        for key, value in expected.items():
            assert_same(tree[key], value)
    else:
        assert tree == expected
        assert type(tree) is type(expected)


@pytest.fixture
def two(tmp_path):
    """A folder with the checkpoints of steps 10 and 20."""
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for step in (10, 20):
        checkpoints.save(step, MODEL, STATE | {"epoch": step})
    return checkpoints


def test_everything_comes_back_bit_for_bit(tmp_path):
    path = Checkpoints(tmp_path).save(7, MODEL, STATE)
    checkpoint = load_checkpoint(path)
    assert_same(checkpoint.model, MODEL)
    assert_same(checkpoint.state, STATE)
    assert path.name == "checkpoint-7"
    assert (tmp_path / "latest").read_text() == "checkpoint-7\n"


def test_tensors_are_kept_as_arrays(tmp_path, device):
    tensor = tn.tensor([1.0, 2.0], device=device)
    path = Checkpoints(tmp_path).save(1, {}, {"buffer": tensor})
    np.testing.assert_array_equal(load_checkpoint(path).state["buffer"], [1.0, 2.0])


def test_what_cannot_be_written_is_named_and_leaves_nothing(tmp_path):
    with pytest.raises(TypeError, match=r"state\.optimizer\.hook is a function"):
        Checkpoints(tmp_path).save(1, MODEL, {"optimizer": {"hook": lambda: None}})
    assert list(tmp_path.iterdir()) == []


def test_the_newest_and_the_protected_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in range(10, 70, 10):
        checkpoints.save(step, MODEL, STATE, protect={20})
    assert checkpoints.steps() == [20, 50, 60]
    assert checkpoints.newest().path.name == "checkpoint-60"


def test_a_run_that_went_back_deletes_what_is_ahead_of_it(two):
    two.save(15, MODEL, STATE)
    assert two.steps() == [10, 15]


def test_an_empty_folder_has_no_newest(tmp_path):
    assert Checkpoints(tmp_path).newest() is None
    assert Checkpoints(tmp_path / "missing").newest() is None


def test_what_a_killed_process_left_is_not_taken_and_goes_away(two):
    for name in FILES:  # as a kill in the middle of writing leaves it
        leftover = two.folder / ".checkpoint-30.123-abcd.tmp"
        leftover.mkdir(exist_ok=True)
        (leftover / name).write_bytes(b"half")
    assert two.newest().state["epoch"] == 20
    two.save(30, MODEL, STATE)
    assert not leftover.exists()


def test_without_its_pointer_the_newest_is_found_by_its_step(two):
    (two.folder / "latest").unlink()
    assert two.newest().state["epoch"] == 20
    (two.folder / "latest").write_bytes(b"\xff../../etc\0")
    assert two.newest().state["epoch"] == 20


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) * 3 // 4] ^= 0x10
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut, flip_a_bit, empty, os.unlink])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(two, name, damage):
    damage(two.folder / "checkpoint-20" / name)
    with pytest.raises(DamagedCheckpoint, match="checkpoint-20 is damaged"):
        load_checkpoint(two.folder / "checkpoint-20")
    with pytest.warns(TrainingWarning, match="checkpoint-20 is damaged.*going on from checkp.*10"):
        assert two.newest().state["epoch"] == 10


def test_without_any_whole_checkpoint_there_is_one_error(two):
    for step in (10, 20):
        cut(two.folder / f"checkpoint-{step}" / "model.safetensors")
    with pytest.raises(DamagedCheckpoint, match=r"checkpoint-20 is damaged.*there is no other"):
        two.newest()


@pytest.mark.parametrize(
    "document",
    ["[]", "null", '{"format": 99}', '{"format": 1}', '{"format": 1, "sha256": 3}', "[" * 10**5],
)
def test_state_that_is_something_else_is_damaged(two, document):
    (two.folder / "checkpoint-20" / "state.json").write_text(document)
    with pytest.raises(DamagedCheckpoint, match="checkpoint-20"):
        load_checkpoint(two.folder / "checkpoint-20")


def test_nothing_in_a_checkpoint_is_code(two):
    for name in FILES:
        content = (two.folder / "checkpoint-20" / name).read_bytes()
        assert not content.startswith(b"\x80")  # a pickle
    json.loads((two.folder / "checkpoint-20" / "state.json").read_text())


def test_a_checkpoint_can_be_copied_elsewhere(two, tmp_path):
    copy = shutil.copytree(two.folder / "checkpoint-20", tmp_path / "copy")
    assert load_checkpoint(copy).state["epoch"] == 20


def test_a_disk_that_takes_no_more_leaves_the_checkpoints_before(two):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    large = {"weight": np.zeros(100_000, np.float32)}
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
        with pytest.raises(OSError, match="File too large") as caught:
            two.save(30, large, STATE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(two.folder / "checkpoint-30")
    assert two.newest().state["epoch"] == 20
    assert sorted(entry.name for entry in two.folder.iterdir()) == [
        "checkpoint-10",
        "checkpoint-20",
        "latest",
    ]

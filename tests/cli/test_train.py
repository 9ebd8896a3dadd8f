"""`tinynn train mnist` end to end: what it prints, what it leaves, and how it ends."""

import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.drawn_digits import drawn_dataset
from tinynn.cli.app import run
from tinynn.io import load_safetensors, write_idx
from tinynn.training import load_checkpoint, read_rows

TINYNN = [sys.executable, "-m", "tinynn"]
SMALL = ["train", "mnist", "--epochs", "2", "--batch-size", "32", "--hidden", "16"]
PICTURES = ("curves.png", "confusion.png", "mistakes.png", "weights.png")


def test_a_run_prints_its_course_and_leaves_its_files():
    done = subprocess.run([*TINYNN, *SMALL], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "1,100 images to train, 100 to validate, 1,000 to test"
    assert lines[1].startswith("784 -> 16 -> 10, relu, 12,730 parameters, on cpu")
    assert [line.split()[0] for line in lines[2:5]] == ["epoch", "1/2", "2/2"]
    classes = [line.split() for line in lines if re.match(r" +\d  ", line)]
    assert [row[:2] for row in classes] == [[str(digit), "100"] for digit in range(10)]
    rights = [int(row[2]) for row in classes]
    assert lines[-1] == f"test accuracy: {sum(rights) / 1000:.4f}"
    assert sum(rights) > 500
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in done.stdout
    assert "\r" not in done.stdout
    assert sorted(os.listdir("runs/mnist")) == sorted(
        ["checkpoints", "config.json", "metrics.jsonl", "model.safetensors", *PICTURES]
    )
    for name in PICTURES:
        with Image.open(f"runs/mnist/{name}") as picture:
            assert picture.convert("L").getextrema()[0] < 50  # something is drawn
    config = json.loads(Path("runs/mnist/config.json").read_text())
    assert config["model"] == {
        "name": "MLP", "sizes": [784, 16, 10], "activation": "relu", "dropout": 0.0
    }  # fmt: skip
    arrays = load_safetensors("runs/mnist/model.safetensors").values()
    assert sorted(array.shape for array in arrays) == [(10,), (10, 16), (16,), (16, 784)]
    assert [row["epoch"] for row in read_rows("runs/mnist/metrics.jsonl")] == [1, 2]


def test_images_sorted_by_class_are_shuffled(tmp_path, capsys):
    for part, size, seed in (("train", 1200, 0), ("t10k", 1000, 1)):
        digits = drawn_dataset(size, seed)
        order = np.argsort(digits.labels)
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", digits.images[order])
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", digits.labels[order].astype(np.uint8))
    assert run([*SMALL, "--data", str(tmp_path)]) == 0
    # Batches of one class at a time leave a network that knows the last one.
    assert float(capsys.readouterr().out.split()[-1]) > 0.9


def test_the_seed_decides_everything():
    for out, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert run([*SMALL, "--dropout", "0.1", "--augment", "--seed", seed, "--out", out]) == 0
    first, same, other = (load_safetensors(f"{out}/model.safetensors") for out in "abc")
    weight = next(iter(first))
    assert all(np.array_equal(first[name], same[name]) for name in first)
    assert not np.array_equal(first[weight], other[weight])


@pytest.mark.parametrize(
    "options",
    [
        "--hidden none --activation tanh",
        "--optimizer adamw --lr 0.003 --scheduler plateau --weight-decay 0.01",
        "--momentum 0.9 --lr 0.01 --scheduler onecycle --clip-norm 1",
        "--scheduler multistep --activation gelu --subset 200 --early-stopping 9 --epochs 20",
    ],
)
def test_other_recipes_learn(options, capsys):
    assert run([*SMALL, "--epochs", "6", *options.split()]) == 0
    accuracy = float(capsys.readouterr().out.rpartition("test accuracy: ")[2])
    assert accuracy > 0.6


def test_early_stopping_keeps_the_best_epoch(capsys):
    assert run([*SMALL, "--epochs", "40", "--early-stopping", "3"]) == 0
    output = capsys.readouterr().out
    shares = [row["validation_accuracy"] for row in read_rows("runs/mnist/metrics.jsonl")]
    best = shares.index(max(shares)) + 1
    assert len(shares) == best + 3 < 40
    assert (
        f"stopped early: no better validation accuracy for 3 epochs\nkept: epoch {best}" in output
    )
    best_arrays = load_checkpoint(f"runs/mnist/checkpoints/checkpoint-{35 * best}").model
    for name, array in load_safetensors("runs/mnist/model.safetensors").items():
        np.testing.assert_array_equal(array, best_arrays[name])


@pytest.mark.parametrize("name", ["none", "cosine", "linear", "exponential", "step"])
def test_schedules_bring_the_rate_where_they_say(name):
    assert run([*SMALL, "--epochs", "4", "--scheduler", name]) == 0
    rates = [row["learning_rate"] for row in read_rows("runs/mnist/metrics.jsonl")]
    last = {"none": 0.1, "cosine": 0.0, "linear": 0.0, "exponential": 0.001, "step": 0.001}[name]
    assert rates[-1] == pytest.approx(last, abs=2e-3)
    assert rates == sorted(rates, reverse=True)


def test_the_range_test_finds_a_rate_that_trains(capsys):
    assert run([*SMALL, "--epochs", "4", "--lr", "find"]) == 0
    config = json.loads(Path("runs/mnist/config.json").read_text())
    assert 1e-3 < config["recipe"]["lr"] < 1
    output = capsys.readouterr().out
    assert f"learning rate: {config['recipe']['lr']:.3g}, by a range test" in output
    assert float(output.rpartition("test accuracy: ")[2]) > 0.6
    assert os.path.exists("runs/mnist/lr_range.png")


def contents(folder):
    return {path: path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def test_a_run_is_not_overwritten_unasked(capsys):
    assert run(SMALL) == 0
    before = contents("runs")
    assert run(SMALL) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert all(option in error for option in ("--resume", "--overwrite", "--out"))
    assert contents("runs") == before


def test_overwriting_replaces_the_run_and_nothing_else(capsys):
    assert run(SMALL) == 0
    Path("runs/mnist/notes.txt").write_text("mine")
    assert run([*SMALL, "--data", "missing", "--overwrite"]) == 1  # the old run is still there
    assert os.path.exists("runs/mnist/model.safetensors")
    assert run([*SMALL, "--epochs", "1", "--overwrite"]) == 0
    assert len(read_rows("runs/mnist/metrics.jsonl")) == 1
    assert Path("runs/mnist/notes.txt").read_text() == "mine"


def test_resuming_takes_the_options_of_the_run(capsys):
    assert run(SMALL) == 0
    before = contents("runs")
    assert run(["train", "mnist", "--resume", "--batch-size", "32"]) == 0
    assert contents("runs") == before
    capsys.readouterr()
    assert run(["train", "mnist", "--resume", "--hidden", "99"]) == 2
    assert capsys.readouterr().err == (
        "error: --hidden is 99, but the run in runs/mnist was begun with 16; leave --hidden out, "
        "or begin another run (--out)\n"
    )


def test_resuming_removes_what_a_killed_process_left():
    assert run(SMALL) == 0
    before = contents("runs")
    Path("runs/mnist/.curves.png.1-0badcafe.tmp").write_bytes(b"half a picture")
    assert run(["train", "mnist", "--resume"]) == 0
    assert contents("runs") == before


def test_resuming_with_images_that_the_run_did_not_see_is_refused(capsys):
    assert run(SMALL) == 0
    path = Path("runs/mnist/config.json")
    path.write_text(path.read_text().replace('"height": 28', '"height": 14'))
    before = contents("runs")
    assert run(["train", "mnist", "--resume"]) == 1
    error = capsys.readouterr().err
    assert "config.json tells of images of 14 x 28 pixels" in error
    assert "the data are 28 x 28" in error
    assert contents("runs") == before


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["int", "term"]
)
def test_an_interrupted_run_says_how_to_go_on_and_can(number, status):
    options = ["--batch-size", "4", "--dropout", "0.1", "--hidden", "16", "--epochs"]
    command = [*TINYNN, "train", "mnist", *options, "30", "--out", "runs/whole"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    next(line for line in process.stdout if "2/30" in line)
    process.send_signal(number)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == status
    assert error == (
        f"error: stopped by {number.name}; go on with: "
        "tinynn train mnist --resume --out runs/whole\n"
    )
    rows = read_rows("runs/whole/metrics.jsonl")
    assert 2 <= len(rows) < 30
    assert run(["evaluate", "runs/whole"]) == 1  # it is not finished
    # Sooner than finishing all 30 epochs: the checkpoint is where it says it is.
    name = Path("runs/whole/checkpoints/latest").read_text().strip()
    state = json.loads(Path(f"runs/whole/checkpoints/{name}/state.json").read_text())["state"]
    assert state["position"]["epoch"] == len(rows)


def in_terminal(command, columns, environment=None):
    """Runs a command on a terminal of that width; returns its status and all that it wrote."""
    child, terminal = pty.fork()
    if child == 0:
        try:
            os.execve(
                command[0], command, os.environ | {"TERM": "xterm-256color"} | (environment or {})
            )
        finally:
            os._exit(127)
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    output, deadline = b"", time.monotonic() + 100
    while time.monotonic() < deadline and select.select([terminal], [], [], 100)[0]:
        try:
            output += os.read(terminal, 1 << 16)
        except OSError:  # the other side was closed
            break
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), output.decode()


ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.mark.parametrize("columns", [80, 200])
def test_on_a_terminal_there_is_a_live_bar_that_fits(columns):
    status, output = in_terminal([*TINYNN, *SMALL, "--batch-size", "1"], columns)
    assert status == 0
    lines = [line for row in ESCAPES.sub("", output).split("\n") for line in row.split("\r")]
    bars = [line for line in lines if line.startswith("epoch ")]
    assert any(
        re.search(r"epoch 1/2 ━+.* loss [\d.]+  accuracy [\d.]+%  +[\d,]+/s  +\d+:\d\d left", bar)
        for bar in bars
    )
    assert max(map(len, bars)) <= min(columns, 100)
    assert "\x1b[" in output
    assert "test accuracy: " in output


def test_no_color_is_honoured():
    status, output = in_terminal([*TINYNN, *SMALL], 80, {"NO_COLOR": "1"})
    assert status == 0
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", output)


def test_divergence_is_one_line_with_a_remedy(capsys):
    assert run([*SMALL, "--lr", "1e30", "--scheduler", "none"]) == 1
    error = capsys.readouterr().err
    assert re.fullmatch(
        r"error: \S+ is (nan|inf) at epoch 1 step \d+, learning rate 1e\+30: lower --lr, or clip "
        r"the gradients \(--clip-norm 1\)\n",
        error,
    )


def mounted(command, size, place):
    """The command run with a small file system of its own at `place`; None where that can't be."""
    script = f'mount -t tmpfs -o size={size} none {place} && exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh", *command],
        capture_output=True,
        text=True,
    )
    return None if "unshare" in done.stderr or "mount:" in done.stderr else done


@pytest.mark.parametrize("kilobytes", [60, 350])
def test_a_full_disk_is_one_line(tmp_path, kilobytes):
    (tmp_path / "runs").mkdir()
    done = mounted([*TINYNN, *SMALL, "--hidden", "32"], f"{kilobytes}k", tmp_path / "runs")
    if done is None:
        pytest.skip("this user may not mount a small file system")
    assert done.returncode == 1
    assert re.fullmatch(r"error: \S*runs/mnist/\S+: the disk is full; .*\n", done.stderr)

"""`evaluate`, `predict`, `info`, help, and what every command does with bad input."""

import csv
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import tinynn
from tests.training.drawn_digits import draw, drawn_dataset, write_dataset
from tinynn.cli.app import run

LANGUAGE = ("pull", "quantize", "generate", "chat")
COMMANDS = [
    "train mnist",
    "train gpt",
    "evaluate",
    "predict",
    "study",
    *LANGUAGE,
    "info",
]


def lines_of(capsys, *arguments):
    """What a command that must succeed prints, line by line."""
    assert run(list(arguments)) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out.splitlines()


# ---- evaluate


def test_evaluation_repeats_what_training_said(trained, capsys):
    lines = lines_of(capsys, "evaluate", str(trained))
    with open(trained / "metrics.jsonl") as file:
        assert len(file.readlines()) == 3
    rights = [int(line.split()[2]) for line in lines if re.match(r" +\d  ", line)]
    assert lines[-1] == f"test accuracy: {sum(rights) / 1000:.4f}"


def test_evaluation_of_other_data_and_of_a_part(trained, tmp_path, capsys):
    data = write_dataset(tmp_path / "other", train=10, test=60)
    lines = lines_of(capsys, "evaluate", str(trained), "--data", str(data))
    assert any(line.split()[:2] == ["all", "60"] for line in lines)
    part = ["evaluate", str(trained), "--subset", "50", "--seed"]
    first, same, other = (lines_of(capsys, *part, seed) for seed in "112")
    assert first == same != other
    assert any(line.split()[:2] == ["all", "50"] for line in first)


# ---- predict


def save(pixels, path):
    Image.fromarray(pixels).save(path)
    return path


def answers(capsys, *arguments):
    """The rows of `predict --csv`, by file name."""
    text = "\n".join(lines_of(capsys, "predict", *map(str, arguments), "--csv"))
    return {os.path.basename(row["file"]): row for row in csv.DictReader(io.StringIO(text))}


def test_images_are_recognised_however_they_are_drawn(trained, tmp_path, capsys):
    digits, folder = (3, 7), tmp_path / "images"
    folder.mkdir()
    for digit in digits:
        white_on_black = draw(digit)
        save(white_on_black, folder / f"{digit}-as-mnist.png")
        save(255 - white_on_black, folder / f"{digit}-inverse.bmp")
        large = np.pad(np.kron(255 - white_on_black, np.ones((9, 9), np.uint8)), 40, "edge")
        save(large, folder / f"{digit}-large.jpg")
        ink = np.zeros((28, 28, 4), np.uint8)
        ink[..., 3] = white_on_black
        save(ink, folder / f"{digit}-transparent.png")
        colour = np.where(white_on_black[..., None] > 0, [200, 30, 30], [250, 240, 210])
        save(colour.astype(np.uint8), folder / f"{digit}-colour.png")
    rows = answers(capsys, trained, folder)
    assert len(rows) == 10
    assert {name: row["answer"] for name, row in rows.items()} == {name: name[0] for name in rows}
    for row in rows.values():
        chances = [float(row[str(digit)]) for digit in range(10)]
        assert sum(chances) == pytest.approx(1, abs=1e-4)
        assert chances[int(row["answer"])] == max(chances)


def test_a_prediction_is_ten_bars(trained, tmp_path, capsys):
    path = save(draw(3), tmp_path / "three.png")
    head, *bars = lines_of(capsys, "predict", str(trained), str(path))
    share = float(re.fullmatch(rf"{path}: 3 \(([\d.]+)%\)", head)[1])
    percents = [float(bar.split()[-1].rstrip("%")) for bar in bars]
    assert [bar.split()[0] for bar in bars] == [str(digit) for digit in range(10)]
    assert percents[3] == share == max(percents)
    lengths = [bar.count("█") for bar in bars]
    assert lengths == [pytest.approx(0.4 * percent, abs=0.6) for percent in percents]
    assert max(map(len, bars)) <= 80


def test_a_bad_image_does_not_keep_the_others_from_their_answer(trained, tmp_path, capsys):
    good = save(draw(3), tmp_path / "good.png")
    text = tmp_path / "notes.png"
    text.write_text("not a picture")
    cut = tmp_path / "cut.png"
    cut.write_bytes(good.read_bytes()[:60])
    blank = save(np.full((40, 30), 128, np.uint8), tmp_path / "blank.png")
    assert run(["predict", str(trained), str(text), str(cut), str(blank), str(good)]) == 1
    captured = capsys.readouterr()
    errors = captured.err.splitlines()
    assert [error.split(" ", 2)[1].rstrip(":") for error in errors] == [
        str(text), str(cut), str(blank)
    ]  # fmt: skip
    assert captured.out.startswith(f"{good}: 3")


# ---- info, help, start


def test_info_names_what_there_is(capsys):
    lines = lines_of(capsys, "info")
    facts = dict(line.split(maxsplit=1) for line in lines if not line.startswith(" "))
    assert facts["tinynn"].startswith(tinynn.__version__)
    assert f"numpy {np.__version__}" in facts["libraries"]
    assert {"blas", "threads", "gpu", "processor", "kernels", "mnist", "missing"} <= facts.keys()
    assert facts["threads"].startswith("1 of ")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples_and_the_common_options(command, capsys):
    lines = lines_of(capsys, *command.split(), "--help")
    text = "\n".join(lines)
    assert "Examples:" in text
    is_of_files = command in ("pull", "quantize")  # nothing random, and no device
    options = ("--help",) if is_of_files else ("--seed", "--device", "--help")
    assert all(option in text for option in options)
    assert max(map(len, lines)) <= 80


# What makes an example short that takes minutes as it stands.
SHORTER = {
    "train mnist": ["--epochs", "2"],
    "train gpt": ["--steps", "2", "--layers", "1"],
    "study": ["--quick"],
}


def test_examples_work(trained, text_file, capsys, tmp_path):
    shutil.copytree(trained, "runs/finished")
    save(draw(7), "seven.png")
    os.mkdir("photos")
    save(255 - draw(2), "photos/two.jpg")
    shutil.copy(text_file, "novel.txt")
    for command in COMMANDS:
        if command in LANGUAGE:  # see test_language.py
            continue
        assert run([*command.split(), "--help"]) == 0
        shown = capsys.readouterr().out.partition("Examples:")[2]
        examples = re.findall(r"^ +tinynn (.*)$", shown, re.MULTILINE)
        assert len(examples) >= 1
        for example in examples:
            if "cuda" in example:
                continue
            words = shlex.split(example.partition(" > ")[0])
            is_short = len(words) == 1 or {"--resume", "--quick"} & {*words}
            assert run([*words, *([] if is_short else SHORTER.get(command, []))]) == 0, example
            capsys.readouterr()


def test_version_and_no_arguments(capsys):
    assert lines_of(capsys, "--version") == [f"tinynn {tinynn.__version__}"]
    assert any("Commands:" in line for line in lines_of(capsys))


def test_help_is_quick_because_it_loads_little():
    script = (
        "import sys; from tinynn.cli.app import run; run(['train', 'mnist', '--help']);"
        "heavy = {'numba', 'matplotlib', 'PIL', 'cupy', 'safetensors', 'tinynn.training'};"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_closed_pipe_is_no_reason_to_complain(trained, tmp_path):
    for index in range(40):
        save(draw(index % 10), tmp_path / f"{index}.png")
    command = f"{sys.executable} -m tinynn predict {trained} {tmp_path} | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1


def test_a_command_without_output_does_its_work(trained):
    command = f"{sys.executable} -m tinynn evaluate {trained} >&-"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


# ---- bad input: one line, the right status, nothing left behind


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("bogus", 2, "No such command 'bogus'"),
        ("train", 2, "Missing command"),
        ("train mnist --epohcs 3", 2, "No such option: --epohcs.*--epochs"),
        ("train mnist --epochs 0", 2, "--epochs is 0, expected a whole number of at least 1"),
        ("train mnist --epochs 2.5", 2, "'--epochs'"),
        ("train mnist --batch-size 0", 2, "--batch-size is 0"),
        ("train mnist --lr -1", 2, "--lr is -1.0, expected a number above 0"),
        ("train mnist --lr nan", 2, "--lr is nan"),
        ("train mnist --lr inf", 2, "--lr is inf"),
        ("train mnist --lr fast", 2, "--lr is 'fast', expected a number above 0, or find"),
        ("train mnist --hidden 256,abc", 2, "--hidden is '256,abc', expected whole numbers"),
        ("train mnist --hidden 256,0", 2, r"--hidden is 256,0, expected whole numbers of"),
        ("train mnist --hidden ''", 2, "--hidden is ''"),
        ("train mnist --activation rleu", 2, "expected one of relu, .*; did you mean relu?"),
        ("train mnist --optimizer adam", 2, "expected one of sgd, adamw; did you mean adamw?"),
        ("train mnist --scheduler cosin", 2, "did you mean cosine?"),
        ("train mnist --momentum 1", 2, "--momentum is 1.0"),
        ("train mnist --dropout 1", 2, "--dropout is 1.0, .* below 1"),
        ("train mnist --weight-decay -1", 2, "--weight-decay is -1.0"),
        ("train mnist --clip-norm 0", 2, "--clip-norm is 0.0"),
        ("train mnist --subset 0", 2, "--subset is 0"),
        ("train mnist --subset 1101", 2, "--subset is 1101, expected at most the 1,100 images"),
        ("train mnist --early-stopping 0", 2, "--early-stopping is 0"),
        ("train mnist --checkpoint-every 0", 2, "--checkpoint-every is 0"),
        ("train mnist --threads 0", 2, "--threads is 0"),
        ("train mnist --seed -1", 2, "--seed is -1"),
        ("train mnist --seed 99999999999999999999", 2, "--seed is 99999999999999999999"),
        ("train mnist --device gpu", 1, "'gpu' is unknown; available: cpu"),
        ("train mnist --device cuda:x", 1, "'cuda:x'"),
        ("train mnist --data missing", 1, "missing is not a folder"),
        ("train mnist --data .", 1, "holds none of train-images-idx3-ubyte"),
        ("train mnist --resume", 1, "runs/mnist is not the folder of a run"),
        ("train mnist --resume --overwrite", 2, "exclude each other"),
        ("train mnist --optimizer adamw --momentum 0.9", 2, "expected 0 with the optimizer adamw"),
        ("train mnist --out {trained}/config.json", 1, r"config.json is a file.*--out"),
        ("train mnist --out /proc/nothing", 1, "/proc/nothing"),
        ("evaluate missing", 1, "missing is not the folder of a run"),
        ("evaluate", 2, "Missing argument 'RUN'"),
        ("evaluate {trained} --subset 1001", 2, "--subset is 1001, expected 1 to 1000"),
        ("evaluate {trained} --data missing", 1, "missing is not a folder"),
        ("predict {trained}", 2, "Missing argument"),
        ("predict {trained} missing.png", 1, "missing.png: No such file or directory"),
        ("predict {trained} .", 1, "holds no image files"),
        ("info --device tpu", 1, "'tpu' is unknown"),
    ],
)
def test_bad_input_is_one_line(trained, capsys, arguments, status, message):
    before = sorted(os.listdir("."))
    assert run(shlex.split(arguments.format(trained=trained))) == status
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert re.search(message, error), error
    assert sorted(os.listdir(".")) == before


def damaged_model(folder):
    os.truncate(folder / "model.safetensors", 1000)


def other_model(folder):
    config = json.loads((folder / "config.json").read_text())
    config["recipe"]["hidden"] = [7]
    (folder / "config.json").write_text(json.dumps(config))


def no_model(folder):
    (folder / "model.safetensors").unlink()


def cut_config(folder):
    os.truncate(folder / "config.json", 100)


def strange_config(folder):
    (folder / "config.json").write_text('{"format": 1, "recipe": {"lr": "fast"}}')


def hostile_config(folder):
    config = json.loads((folder / "config.json").read_text())
    config["input"]["height"] = -28
    (folder / "config.json").write_text(json.dumps(config))


def flat_pixels(folder):
    config = json.loads((folder / "config.json").read_text())
    config["input"]["std"] = 0
    (folder / "config.json").write_text(json.dumps(config))


def huge_recipe(folder):
    config = json.loads((folder / "config.json").read_text())
    config["recipe"]["epochs"] = "many"
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damaged_model, "model.safetensors is damaged"),
        (other_model, "model.safetensors does not fit config.json: .*expected"),
        (no_model, "its training is not finished.*--resume --out"),
        (cut_config, "config.json is damaged"),
        (strange_config, "config.json is damaged: it lacks 'input'"),
        (hostile_config, "config.json is damaged: images of -28 x 28 pixels"),
        (flat_pixels, "config.json is damaged: mean 0.1307 and std 0"),
        (huge_recipe, "config.json is damaged: epochs is 'many'"),
    ],
)
def test_a_damaged_run_is_named(trained, tmp_path, capsys, damage, message):
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    damage(folder)
    assert run(["evaluate", str(folder)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error), error


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(trained, tmp_path, capsys):
    folder = shutil.copytree(trained, tmp_path / "copy")
    expected = (folder / "model.safetensors").read_bytes()
    name = (folder / "checkpoints" / "latest").read_text().strip()
    os.truncate(folder / "checkpoints" / name / "model.safetensors", 50)
    assert run(["train", "mnist", "--resume", "--out", str(folder)]) == 0
    assert re.fullmatch(
        rf"warning: .*{name} is damaged .*; going on from .*\n", capsys.readouterr().err
    )
    assert (folder / "model.safetensors").read_bytes() == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "train-images-idx3-ubyte"),
        (b"\0\0\x08\x03\0\0\0\x05\0\0\0\x1c\0\0\0\x1c" + b"x" * 100, "train-images-idx3-ubyte"),
    ],
)
def test_damaged_data_are_named(tmp_path, capsys, content, message):
    data = write_dataset(tmp_path / "data", train=20, test=10)
    (data / "train-images-idx3-ubyte").write_bytes(content)
    assert run(["train", "mnist", "--data", str(data)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_images_of_another_size_are_refused(trained, tmp_path, capsys):
    from tinynn.io import write_idx

    data = write_dataset(tmp_path / "data", train=20, test=10)
    images = drawn_dataset(10).images[:, :20, :20]
    write_idx(data / "t10k-images-idx3-ubyte", np.ascontiguousarray(images))
    assert run(["evaluate", str(trained), "--data", str(data)]) == 1
    assert "28 x 28 pixels, these have 20 x 20" in capsys.readouterr().err

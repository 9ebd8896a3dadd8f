"""`tinynn train mnist --model cnn`, and what evaluate and predict make of the run it leaves."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.drawn_digits import drawn_dataset
from tinynn.cli.app import run
from tinynn.io import load_safetensors

CNN = ["train", "mnist", "--model", "cnn", "--epochs", "2", "--batch-size", "32"]


def test_a_cnn_is_trained_judged_and_asked(capsys):
    assert run(CNN) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("28x28 -> 8x14x14 -> 16x7x7 -> 128 -> 10, relu, 105,194 parameters")
    accuracy = float(lines[-1].removeprefix("test accuracy: "))
    assert accuracy > 0.9
    config = json.loads(Path("runs/mnist/config.json").read_text())
    assert config["model"] == {
        "name": "CNN", "sizes": ["28x28", "8x14x14", "16x7x7", 128, 10], "activation": "relu",
        "dropout": 0.0,
    }  # fmt: skip
    with Image.open("runs/mnist/weights.png") as picture:
        assert picture.convert("L").getextrema()[0] < 50  # something is drawn
    assert run(["evaluate", "runs/mnist"]) == 0
    assert f"{accuracy:.4f}" in capsys.readouterr().out
    digits = drawn_dataset(20, 5)
    for number, image in enumerate(digits.images):
        Image.fromarray(image).save(f"digit{number:02}.png")
    assert run(["predict", "runs/mnist", ".", "--csv"]) == 0
    rows = [line.split(",") for line in capsys.readouterr().out.splitlines()[1:]]
    answers = {Path(row[0]).name: row[1] for row in rows}
    right = [answers[f"digit{i:02}.png"] == str(label) for i, label in enumerate(digits.labels)]
    assert sum(right) > 10


def test_a_cnn_stopped_midway_goes_on_as_if_it_had_not():
    assert run([*CNN, "--out", "whole"]) == 0
    assert run([*CNN, "--out", "parts"]) == 0
    os.remove("parts/model.safetensors")
    assert run(["train", "mnist", "--resume", "--out", "parts"]) == 0
    whole, parts = (load_safetensors(f"{out}/model.safetensors") for out in ("whole", "parts"))
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)


def test_a_run_of_an_earlier_version_is_one_of_an_mlp(capsys):
    assert run(["train", "mnist", "--epochs", "1", "--hidden", "16"]) == 0
    path = Path("runs/mnist/config.json")
    config = json.loads(path.read_text())
    del config["recipe"]["model"]
    path.write_text(json.dumps(config))
    assert run(["evaluate", "runs/mnist"]) == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--hidden", "64"], "--hidden is 64, expected the default: the model cnn has its own"),
        (["--activation", "tanh"], "--activation is tanh, expected the default"),
        (["--model", "rnn"], "--model is rnn, expected one of mlp, cnn"),
    ],
)
def test_what_makes_no_sense_is_one_line(options, says, capsys):
    assert run([*CNN, *options]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.splitlines()) == 1
    assert not os.path.exists("runs")

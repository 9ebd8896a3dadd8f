"""`tinynn train gpt` end to end: what it prints, what it leaves, and how it ends."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinynn as tn
from tests.cli.conftest import VERSES
from tinynn.cli.app import run
from tinynn.io import load_safetensors
from tinynn.training import read_rows
from tinynn.training.text_evaluation import judge_text
from tinynn.training.text_run import TextRunFolder

TINYNN = [sys.executable, "-m", "tinynn"]
TINY = ["--layers", "1", "--heads", "1", "--width", "32", "--context", "32", "--warmup", "5"]
SMALL = ["train", "gpt", *TINY, "--steps", "40", "--lr", "0.01"]


def test_a_run_prints_its_course_and_leaves_its_files(capsys):
    assert run(SMALL) == 0
    lines = capsys.readouterr().out.splitlines()
    tokens = f"{len(VERSES) - len(VERSES) // 10:,} tokens to train"
    assert lines[0].startswith(tokens)
    assert lines[0].endswith(f"a vocabulary of {len(set(VERSES))}")
    assert lines[1].startswith("1 layer of 1 head, width 32, context 32,")
    rows = [line.split()[0] for line in lines if re.match(r" +\d+/40 ", line)]
    assert rows == [f"{step}/40" for step in range(5, 41, 5)]
    assert sum(line.startswith("    | ") for line in lines) >= len(rows)  # samples
    assert max(map(len, lines)) <= 90
    history = read_rows("runs/gpt/metrics.jsonl")
    assert lines[-1] == f"validation loss: {history[-1]['validation_loss']:.4f} nats per token"
    assert history[-1]["validation_loss"] < 0.7 * history[0]["validation_loss"]
    assert sorted(os.listdir("runs/gpt")) == [
        *("checkpoints", "config.json", "curves.png", "metrics.jsonl", "model.safetensors"),
        *("run.json", "tokenizer.json", "tokens.bin"),
    ]
    with Image.open("runs/gpt/curves.png") as picture:
        assert picture.convert("L").getextrema()[0] < 50


@pytest.mark.parametrize("tokenizer", ["char", "bpe"])
def test_what_it_leaves_is_generated_with(tokenizer, capsys):
    pytest.importorskip("tokenizers")
    pairs = ["--tokenizer", tokenizer, "--vocab-size", "280"]
    assert run([*SMALL, *pairs, "--no-samples"]) == 0
    capsys.readouterr()
    assert run(["generate", "To be", "--model", "runs/gpt", "--max-new-tokens", "9"]) == 0
    captured = capsys.readouterr()
    assert set(captured.out) <= set(VERSES)
    assert "9 tokens" in captured.err


@pytest.mark.parametrize("prompt", ["Ça va?", "-"])
def test_a_prompt_of_characters_that_the_text_lacked_is_one_error(prompt, capsys, monkeypatch):
    pytest.importorskip("tokenizers")
    assert run([*SMALL, "--steps", "1", "--no-samples"]) == 0
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.StringIO("Ça va?"))
    assert run(["generate", prompt, "--model", "runs/gpt"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "error: Tokenizer.encode: the vocabulary of runs/gpt has no token for '?', 'v', 'Ç'; "
        f"write with its {len(set(VERSES))} characters, or train a model that can write all "
        "(tinynn train gpt --tokenizer bpe)\n"
    )


def test_evaluation_repeats_what_training_said(text_file, capsys):
    assert run([*SMALL, "--no-samples"]) == 0
    trained = capsys.readouterr().out.splitlines()[-1]
    assert run(["evaluate", "runs/gpt"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == trained
    loss = read_rows("runs/gpt/metrics.jsonl")[-1]["validation_loss"]
    assert lines[2] == f"perplexity: {np.exp(loss):.2f}"
    held_back = len(VERSES) // 10
    there = (held_back - 1) // 32
    assert lines[0] == f"{held_back:,} tokens held back, {there} windows of 32 tokens looked at"
    assert run(["evaluate", "runs/gpt", "--subset", "7"]) == 0
    assert ", 7 windows of 32" in capsys.readouterr().out
    assert run(["evaluate", "runs/gpt", "--data", str(text_file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    there = (len(VERSES) - 1) // 32
    whole = f"{len(VERSES):,} tokens of {text_file}, {there} windows of 32 tokens looked at"
    assert lines[0] == whole


def test_a_loss_is_that_of_all_windows_of_the_text():
    """Against the sum over each token, as it is defined."""
    assert run([*SMALL, "--steps", "3", "--no-samples"]) == 0
    files = TextRunFolder("runs/gpt")
    model, ids = files.load_model(), files.load().tokens
    ids = np.array(ids[-(len(ids) // 10) :], np.int64)
    count = (len(ids) - 1) // 32
    places = np.linspace(0, len(ids) - 33, count).astype(int)
    total = 0.0
    for place in places:
        scores = model(tn.tensor(ids[None, place : place + 32])).detach().numpy()[0]
        right = scores[np.arange(32), ids[place + 1 : place + 33]]
        total += (np.log(np.exp(scores).sum(-1)) - right).sum()
    judged = judge_text("runs/gpt")
    assert (judged.windows, judged.tokens) == (count, len(ids))
    assert judged.loss == pytest.approx(total / (32 * count), rel=1e-5)
    assert judged.perplexity == pytest.approx(np.exp(judged.loss))


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ("evaluate runs/gpt --subset 0", 2, "--subset is 0, expected 1 to 53, all windows of"),
        ("evaluate runs/gpt --subset 54", 2, "--subset is 54, expected 1 to 53, all windows of"),
        ("evaluate runs/gpt --data other.txt", 1, "'x' is not one of the 27 characters"),
        ("evaluate runs/gpt --data short.txt", 1, "2 tokens hold no window of 32"),
        ("evaluate runs/gpt --data missing.txt", 1, "missing.txt: No such file"),
        ("evaluate begun", 1, "begun has no model.safetensors, its training is not finished; go"),
        ("evaluate begun", 1, "go on with: tinynn train gpt --resume --out begun"),
        ("predict runs/gpt some.png", 1, "runs/gpt is the run of a language model, which knows no"),
        ("predict runs/gpt some.png", 1, "; try: tinynn generate PROMPT --model runs/gpt"),
        ("evaluate folder", 1, "folder/config.json is damaged: it lacks 'format'"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(arguments, status, message, capsys):
    assert run([*SMALL, "--steps", "1", "--no-samples"]) == 0
    shutil.copytree("runs/gpt", "begun")
    os.unlink("begun/model.safetensors")
    Path("other.txt").write_text("To be x" * 20)
    Path("short.txt").write_text("To")
    Path("folder").mkdir()
    Path("folder/config.json").write_text("{}")
    capsys.readouterr()
    assert run(arguments.split()) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err


def test_transformers_reads_what_it_leaves(capsys):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torch")
    assert run(SMALL) == 0
    model, report = transformers.AutoModelForCausalLM.from_pretrained(
        "runs/gpt", output_loading_info=True
    )
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert model.config.n_positions == 32


def model_of(out):
    return load_safetensors(f"{out}/model.safetensors")


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


def test_how_it_is_carried_out_changes_nothing():
    dropped = ["--dropout", "0.1", "--steps", "8"]
    for out, options in (("a", []), ("b", ["--no-samples"]), ("c", ["--no-compile"])):
        assert run([*SMALL, *dropped, *options, "--out", out]) == 0
    assert_same(model_of("a"), model_of("b"))
    for name, array in model_of("c").items():  # a plan may add in another order
        np.testing.assert_allclose(array, model_of("a")[name], rtol=1e-3, atol=1e-4, err_msg=name)


def test_layers_that_are_computed_again_change_nothing():
    steps = [*SMALL, "--layers", "2", "--dropout", "0.1", "--steps", "8"]
    assert run([*steps, "--no-compile", "--out", "kept"]) == 0
    assert run([*steps, "--gradient-checkpointing", "--out", "again"]) == 0
    assert_same(model_of("kept"), model_of("again"))


def test_batches_that_make_up_a_step_are_one_large_batch():
    exact = ["--steps", "4", "--evaluate-every", "4", "--dropout", "0"]
    assert run([*SMALL, *exact, "--accumulate", "3", "--batch-size", "4"]) == 0
    (row,) = read_rows("runs/gpt/metrics.jsonl")
    assert row["step"] == 4


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["int", "term"]
)
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(number, status, capsys):
    options = ["--steps", "300", "--dropout", "0.1", "--evaluate-every", "20"]
    command = [*TINYNN, *SMALL, *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    next(line for line in process.stdout if "20/300" in line)
    process.send_signal(number)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == status
    assert error == (
        f"error: stopped by {number.name}; go on with: tinynn train gpt --resume --out runs/gpt\n"
    )
    assert run(["train", "gpt", "--resume", "--steps", "300"]) == 0
    assert re.search(r"going on from step \d+ of 300\n", capsys.readouterr().out)
    assert run([*SMALL, *options, "--out", "runs/whole"]) == 0
    assert_same(model_of("runs/gpt"), model_of("runs/whole"))


def test_evaluations_need_not_divide_the_steps(capsys):
    """They come every so many steps and at the end; how often changes nothing else."""
    options = ["--steps", "23", "--dropout", "0.1", "--accumulate", "2"]
    assert run([*SMALL, *options, "--evaluate-every", "10", "--out", "tens"]) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = [line.split()[0] for line in lines if re.match(r" +\d+/23 ", line)]
    assert shown == ["10/23", "20/23", "23/23"]
    assert run([*SMALL, *options, "--evaluate-every", "100", "--out", "end"]) == 0
    tens, end = read_rows("tens/metrics.jsonl"), read_rows("end/metrics.jsonl")
    assert [[row["step"] for row in rows] for rows in (tens, end)] == [[10, 20, 23], [23]]
    assert_same(model_of("tens"), model_of("end"))
    assert tens[-1]["validation_loss"] == end[-1]["validation_loss"]


def test_resuming_does_not_need_the_text(text_file):
    assert run([*SMALL, "--data", str(text_file)]) == 0
    before = Path("runs/gpt/model.safetensors").read_bytes()
    text_file.unlink()
    os.unlink("runs/gpt/model.safetensors")
    assert run(["train", "gpt", "--resume"]) == 0
    assert Path("runs/gpt/model.safetensors").read_bytes() == before


def test_a_run_is_not_overwritten_unasked(capsys):
    assert run(SMALL) == 0
    assert run(SMALL) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert all(option in error for option in ("--resume", "--overwrite", "--out"))
    assert run([*SMALL, "--steps", "1", "--overwrite"]) == 0
    assert len(read_rows("runs/gpt/metrics.jsonl")) == 1


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ("--heads 3", 2, "--heads is 3, expected a divisor of the width 128 that .* such as 4"),
        ("--heads 8", 2, "--heads is 8, expected a divisor"),
        ("--width 100", 2, "--width is 100, expected a multiple of 16 of at least 32"),
        ("--steps 0", 2, "--steps is 0, expected a whole number of at least 1"),
        ("--evaluate-every 0", 2, "--evaluate-every is 0, expected a whole number of at least 1"),
        ("--tokenizer words", 2, "expected one of char, bpe"),
        ("--vocab-size 255", 2, "--vocab-size is 255, expected a whole number of at least 256"),
        ("--dropout 1", 2, "--dropout is 1.0"),
        ("--accumulate 0", 2, "--accumulate is 0"),
        ("--clip-norm 0", 2, "--clip-norm is 0.0"),
        ("--checkpoint-every 0", 2, "--checkpoint-every is 0"),
        ("--resume --overwrite", 2, "exclude each other"),
        ("--resume", 1, "runs/gpt is not the folder of a run on a text"),
        ("--data missing.txt", 1, "missing.txt: No such file"),
        ("--data latin.txt", 1, "latin.txt is not a text in UTF-8: byte 4 is 0xdf"),
        ("--data short.txt", 1, "short.txt has 200 characters, a context of 64 needs 650"),
        ("--data short.txt --tokenizer bpe", 1, "tokens hold no window of 64"),
    ],
)
def test_bad_input_is_one_line(options, status, message, capsys):
    Path("latin.txt").write_bytes("Stra\xdfe".encode("latin-1"))
    Path("short.txt").write_text("to be " * 33 + "or")
    assert run(["train", "gpt", *options.split()]) == status
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert re.search(message, error), error


def test_options_and_data_of_another_run_are_refused(text_file, capsys):
    assert run(SMALL) == 0
    assert run(["train", "gpt", "--resume", "--width", "64"]) == 2
    assert "--width is 64, but the run in runs/gpt was begun with 32" in capsys.readouterr().err
    assert run(["train", "gpt", "--resume", "--data", str(text_file)]) == 2
    assert "was begun with shakespeare; leave --data out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("run.json", "{", "run.json is damaged"),
        ("run.json", json.dumps({"format": 1, "recipe": {}}), "run.json is damaged: it lacks 'da"),
        ("tokenizer.json", "{}", "tokenizer.json is damaged: it lacks 'model'"),
        ("tokens.bin", "odd", "tokens.bin is damaged: it has 3 bytes"),
    ],
)
def test_damaged_files_of_a_run_are_named(name, content, message, capsys):
    assert run([*SMALL, "--steps", "1"]) == 0
    capsys.readouterr()
    Path("runs/gpt", name).write_text(content)
    assert run(["train", "gpt", "--resume"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error

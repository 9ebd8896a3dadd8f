"""`generate`, `chat` and `pull`: with a tiny model in a GGUF file."""

import io
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.generation.conftest import METADATA, tiny
from tinynn.cli.app import run
from tinynn.generation import generate
from tinynn.inference import KVCache
from tinynn.io import write_gguf
from tinynn.models import stored_weights
from tinynn.models.families import GGUF

CACHE_DTYPES = "cache_dtype must be float32, float16, bfloat16 or int8, got 'int4'"


@pytest.fixture(scope="module")
def model():
    return tiny(rope_interleaved=True)


@pytest.fixture
def file(model, tmp_path):
    config = model.config
    sizes = {
        "general.architecture": "llama",
        "llama.embedding_length": config.hidden_size,
        "llama.block_count": config.num_layers,
        "llama.attention.head_count": config.num_heads,
        "llama.attention.head_count_kv": config.num_kv_heads,
        "llama.feed_forward_length": config.intermediate_size,
        "llama.context_length": config.max_positions,
        "llama.attention.layer_norm_rms_epsilon": config.norm_eps,
    }
    path = tmp_path / "tiny.gguf"
    write_gguf(path, sizes | METADATA, stored_weights(model, GGUF["llama"]))
    return str(path)


def test_generate_writes_on(file, model, capsys):
    options = ["--model", file, "--max-new-tokens", "20"]
    assert run(["generate", "the cat", *options, "--quantize", "none"]) == 0
    captured = capsys.readouterr()
    assert captured.out == generate(model, "the cat", 20).text + "\n"
    assert "tokens, the first after" in captured.err


def test_generate_draws_as_it_is_told(file, model, capsys):
    options = ["--model", file, "--max-new-tokens", "20", "--temperature", "1.5", "--top-k", "9"]
    texts = []
    for seed in ("3", "3", "4"):
        assert run(["generate", "the cat", *options, "--seed", seed]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]
    expected = generate(model, "the cat", 20, temperature=1.5, top_k=9, seed=3)
    assert texts[0] == expected.text + "\n"


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8"])
def test_generate_keeps_keys_and_values_in_a_dtype(dtype, file, model, capsys, monkeypatch):
    kept = caches_of(monkeypatch)
    options = ["--model", file, "--max-new-tokens", "20", "--cache-dtype", dtype]
    assert run(["generate", "the cat", *options, "--quantize", "none"]) == 0
    assert kept == [dtype]
    assert capsys.readouterr().out == generate(model, "the cat", 20, cache_dtype=dtype).text + "\n"


def test_chat_keeps_keys_and_values_in_a_dtype(file, capsys, monkeypatch):
    kept = caches_of(monkeypatch)
    monkeypatch.setattr("sys.stdin", io.StringIO("hello\nagain\n"))
    options = ["--model", file, "--max-new-tokens", "5", "--cache-dtype", "int8"]
    assert run(["chat", *options]) == 0
    assert kept == ["int8"]


def caches_of(monkeypatch):
    """A list that gets the dtype of each cache that is made."""
    kept, make = [], KVCache.__init__

    def noted(self, *args, **kwargs):
        make(self, *args, **kwargs)
        kept.append(self.dtype.name)

    monkeypatch.setattr(KVCache, "__init__", noted)
    return kept


def test_generate_reads_a_prompt_from_a_pipe(file, model):
    command = [sys.executable, "-m", "tinynn", "generate", "-", "--model", file]
    found = subprocess.run(
        [*command, "--max-new-tokens", "9"], input="hello", capture_output=True, text=True
    )
    assert found.returncode == 0
    assert found.stdout == generate(model, "hello", 9).text + "\n"


def test_chat_keeps_what_was_said_and_saves_it(file, tmp_path):
    lines = ["hi", "what is it", "/save saved.json", "/reset", "hi", "/nonsense", "/save no/f", ""]
    command = [sys.executable, "-m", "tinynn", "chat", "--model", file, "--temperature", "0"]
    found = subprocess.run(
        [*command, "--max-new-tokens", "8"],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert found.returncode == 0
    messages = json.loads((tmp_path / "saved.json").read_text())
    assert [message["role"] for message in messages] == ["user", "assistant"] * 2
    first, second, saved, forgotten, again, *_ = found.stdout.splitlines()
    assert [first, second] == [messages[1]["content"], messages[3]["content"]]
    assert again == first
    assert (saved, forgotten) == ("4 messages are in saved.json", "what was said is forgotten")
    told = found.stderr.splitlines()
    assert [" 0 known" in line for line in told[:3]] == [True, False, True]
    assert told[3].startswith("no/f: ")


@pytest.mark.parametrize("command", ["generate", "chat"])
def test_examples_work(command, file, capsys, monkeypatch):
    assert run([command, "--help"]) == 0
    shown = capsys.readouterr().out.partition("Examples:")[2]
    examples = re.findall(r"^ +tinynn (.*)$", shown, re.MULTILINE)
    assert len(examples) >= 2
    for example in examples:
        monkeypatch.setattr("sys.stdin", io.StringIO("hello\n"))
        arguments = [*shlex.split(example), "--model", file, "--max-new-tokens", "5"]
        assert run(arguments) == 0, example
        assert capsys.readouterr().out


# ---- quantize


@pytest.mark.parametrize("format", ["int8", "int4-symmetric", "fp16", "stored", "none"])
def test_a_folder_writes_as_its_file_quantized(format, file, capsys, monkeypatch):
    assert run(["quantize", file, "out/small", "--quantize", format]) == 0
    captured = capsys.readouterr()
    assert re.fullmatch(r"0\.\d MB -> 0\.\d MB\ntry: tinynn chat --model out/small\n", captured.out)
    assert captured.err == f"reading {file}, weights as {format}\nwriting out/small\n"
    options = ["--max-new-tokens", "20", "--temperature", "0.9", "--seed", "5"]
    texts = []
    for path, more in ((file, ["--quantize", format]), ("out/small", [])):
        assert run(["generate", "the cat", "--model", path, *options, *more]) == 0
        monkeypatch.setattr("sys.stdin", io.StringIO("hello\nagain\n"))
        assert run(["chat", "--model", path, *options, *more]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]


def test_a_quantized_folder_takes_no_format_but_stored(file, capsys):
    assert run(["quantize", file, "small", "--quantize", "int4"]) == 0
    generate = ["generate", "the", "--model", "small", "--max-new-tokens", "2"]
    assert run([*generate, "--quantize", "stored"]) == 0
    capsys.readouterr()
    for command in (generate, ["quantize", "small", "other"]):
        assert run([*command, "--quantize", "int8"]) == 1
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("error: load: small is quantized already, and rounding it again to")
        assert run([*command, "--quantize", "none"]) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("error: --quantize is none, but small was saved quantized")
    assert run(["quantize", "small", "other", "--quantize", "stored"]) == 0
    assert {entry.name for entry in Path().iterdir()} - {Path(file).name} == {"other", "small"}


def test_a_folder_that_is_there_stays(file, capsys):
    assert run(["quantize", file, "small"]) == 0
    before = Path("small/model.safetensors").read_bytes()
    capsys.readouterr()
    assert run(["quantize", file, "small", "--quantize", "int4"]) == 2
    assert capsys.readouterr().err == (
        "error: small exists; --overwrite replaces the model in it\n"
    )
    assert Path("small/model.safetensors").read_bytes() == before
    assert run(["quantize", file, "small", "--quantize", "int4", "--overwrite"]) == 0
    assert Path("small/model.safetensors").read_bytes() != before
    Path("small/notes.txt").write_text("mine")
    capsys.readouterr()
    assert run(["quantize", file, "small", "--overwrite"]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.endswith(
        "the folder of a saved model (it holds notes.txt), so it is not overwritten"
    )


def test_examples_of_quantize_work(file, capsys):
    assert run(["quantize", "--help"]) == 0
    examples = re.findall(r"^ +tinynn quantize (.*)$", capsys.readouterr().out, re.MULTILINE)
    assert len(examples) >= 2
    for example in examples:
        assert run(["quantize", file, *shlex.split(example)[1:]]) == 0, example


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["generate", "a", "--model", "nowhere"], 1, "no file or folder 'nowhere', and no model"),
        (["generate", "a", "--model", "FILE", "--top-p", "0"], 1, "top_p must be above 0"),
        (["generate", "", "--model", "FILE"], 1, "a prompt is empty"),
        (["generate", "a" * 200, "--model", "FILE"], 1, "a prompt of 200 tokens leaves no room"),
        (["generate", "a", "--model", "FILE", "--threads", "0"], 2, "--threads is 0"),
        (["generate", "a", "--modell", "x"], 2, "No such option: --modell"),
        (["generate", "a", "--model", "FILE", "--quantize", "int3"], 1, "quantize 'int3' is not a"),
        (["generate", "a", "--model", "FILE", "--cache-dtype", "int4"], 1, CACHE_DTYPES),
        (["chat", "--model", "FILE", "--cache-dtype", "int4"], 1, CACHE_DTYPES),
        (["quantize", "nowhere", "out/a"], 1, "no file or folder 'nowhere', and no model"),
        (
            ["quantize", "FILE", "a", "--quantize", "int5"],
            2,
            "--quantize is int5, expected one of int8",
        ),
        (["quantize", "FILE", "a", "--threads", "0"], 2, "--threads is 0"),
        (["quantize", "FILE"], 2, "Missing argument 'FOLDER'"),
        (["pull", "gpt9"], 1, "there is no model 'gpt9', only smollm2"),
    ],
)
def test_mistakes_are_one_line(arguments, status, says, file, capsys):
    arguments = [file if argument == "FILE" else argument for argument in arguments]
    assert run(arguments) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert says in captured.err


def test_a_file_that_is_cut_off_is_refused(file, capsys):
    with open(file, "rb+") as cut:
        cut.truncate(40_000)
    assert run(["generate", "a", "--model", file]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert file in captured.err
    assert captured.err.count("\n") == 1

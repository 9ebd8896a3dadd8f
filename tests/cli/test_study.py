"""`tinynn study`: the list, one of them run, and what is refused."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tinynn.cli.app import run
from tinynn.studies import load_study, study_names

TINYNN = [sys.executable, "-m", "tinynn"]


def test_without_a_name_the_studies_are_listed(capsys):
    assert run(["study"]) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines[: len(study_names())]}
    assert listed == {name: load_study(name).summary for name in study_names()}
    assert max(map(len, lines)) <= 100


def test_a_study_runs_in_processes_and_leaves_its_report():
    command = [*TINYNN, "study", "nonlinearity", "--quick", "--processes", "2", "--seed", "5"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-1] == "the report is runs/nonlinearity/report.md"
    assert max(map(len, lines)) <= 100
    assert "\x1b" not in done.stdout
    report = Path("runs/nonlinearity/report.md").read_text()
    answer = report.partition("## In short\n\n")[2].partition("\n\n##")[0]
    assert " ".join(answer.split()) in " ".join(done.stdout.split())
    conditions = json.loads(Path("runs/nonlinearity/results.json").read_text())["conditions"]
    assert (conditions["processes"], conditions["seed"]) == (2, 5)


@pytest.mark.parametrize(
    ("options", "status", "line"),
    [
        (["nonlinear"], 2, r"NAME is nonlinear, .* did you mean nonlinearity\?"),
        (["overfitting", "--processes", "0"], 2, "--processes is 0, expected at least 1"),
        (["overfitting", "--seed", "-1"], 2, "--seed is -1"),
        (["overfitting", "--data", "nowhere"], 1, "nowhere is not a folder"),
        (["overfitting", "--device", "tpu"], 1, "'tpu' is unknown"),
        (["overfitting", "--out", "kept"], 1, "kept holds something other than a study"),
        (["overfitting", "--epochs", "3"], 2, "--epochs"),
    ],
)
def test_bad_input_is_one_line(options, status, line, capsys):
    Path("kept").mkdir()
    Path("kept/notes.txt").write_text("mine")
    assert run(["study", *options]) == status
    (said,) = capsys.readouterr().err.splitlines()
    assert re.search(line, said)
    assert not Path("runs").exists()
    assert [path.name for path in Path("kept").iterdir()] == ["notes.txt"]


def test_ctrl_c_ends_all_processes_with_one_line(tmp_path):
    process = subprocess.Popen(
        [*TINYNN, "study", "overfitting", "--processes", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(6)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "error: interrupted\n")
    assert not Path("runs").exists()

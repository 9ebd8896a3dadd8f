"""The check on a GPU, as far as it goes without one."""

import json
import subprocess
import sys

import pytest

from tests import gpu_check
from tests.cuda_on_cpu import installed, why_no_compiler
from tests.gpu_check import NO_CARD, Step, check, run_step


def card():
    return {"name": "a card of paper"}


def python(code, seconds=60, figures=None):
    return Step("a step", [sys.executable, "-c", code], seconds, figures)


def test_without_a_gpu_it_fails_and_says_so(tmp_path):
    try:
        gpu_check.describe_card()
    except RuntimeError:
        pass
    else:
        pytest.skip("there is a GPU")
    path = tmp_path / "report.json"
    result = subprocess.run(
        [sys.executable, "-m", "tests.gpu_check", "--json", str(path)],
        cwd=gpu_check.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == NO_CARD
    assert result.stderr.startswith("gpu-check: no GPU to check: CuPy ")
    assert not path.exists()


def test_the_report_names_the_card_and_every_step(tmp_path, capsys):
    path, figures = tmp_path / "report.json", tmp_path / "figures.json"
    parts = [
        python(f"open({str(figures)!r}, 'w').write('[1, 2]')", figures=figures),
        Step("a tool", None, 1, why="it is not installed"),
    ]
    status, report = check(card, parts, path)
    assert status == 0
    assert json.loads(path.read_text()) == report
    assert report["card"]["name"] == "a card of paper"
    assert [step["outcome"] for step in report["steps"]] == ["passed", "skipped"]
    assert report["steps"][0]["figures"] == [1, 2]
    assert "it is not installed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "seconds", "outcome"),
    [
        ("print('bad numbers'); raise SystemExit(1)", 60, "failed"),
        ("import time; print('bad numbers', flush=True); time.sleep(60)", 2, "too slow"),
    ],
)
def test_a_step_that_fails_fails_the_check(code, seconds, outcome, capsys):
    status, report = check(card, [python(code, seconds)], None)
    assert status == 1
    assert report["steps"][0]["outcome"] == outcome
    assert "bad numbers" in capsys.readouterr().out


def test_steps_know_that_they_run_on_a_card():
    found = run_step(python("import os; print(os.environ['TINYNN_CUDA_TESTS'])"))
    assert found["output"] == "card\n"


def test_the_steps_take_less_than_eight_minutes(tmp_path):
    assert sum(step.seconds for step in gpu_check.steps(tmp_path)) < 8 * 60


def test_every_family_of_kernels_has_tests_that_run_on_a_card():
    from tests.cuda_on_cpu.installed import launchers

    names = [module.__name__.rpartition(".")[2] for module in launchers()]
    assert sorted(set(names) - {name[5:] for name in gpu_check.modules_of_tests()}) == []


@pytest.mark.skipif(why_no_compiler() is not None, reason=str(why_no_compiler()))
def test_the_small_sweep_runs_on_the_harness(capsys):
    with installed():
        assert gpu_check.run_part("reduced", []) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "test_dropout: as expected" in lines
    assert len(lines) >= 6


def test_kernels_are_found_in_a_checkout_that_is_not_installed():
    code = """
import sys
sys.meta_path = [f for f in sys.meta_path if "tinynn" not in str(getattr(f, "__name__", f))
                 and "Editable" not in str(f)]
from tests.gpu_check import find_kernels_in_the_checkout
find_kernels_in_the_checkout()
from tinynn.kernels.cuda import dropout
print(dropout.__file__)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=gpu_check.ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == str(gpu_check.ROOT / "kernels/cuda/dropout.py")

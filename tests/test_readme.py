"""What the README shows runs as it stands."""

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def test_examples_give_what_they_show():
    result = doctest.testfile(str(README), module_relative=False, optionflags=doctest.FAIL_FAST)
    assert result.attempted > 0
    assert result.failed == 0


def test_the_pictures_are_there():
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", README.read_text())
    assert pictures
    assert all((README.parent / picture).is_file() for picture in pictures)


@pytest.mark.network
def test_the_training_program_learns():
    (program,) = re.findall(r"```python\n(import tinynn.+?)```", README.read_text(), re.DOTALL)
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    losses = [float(line.rsplit(maxsplit=1)[1]) for line in printed.splitlines()]
    assert len(losses) == 3
    assert losses[-1] < 1  # guessing among ten classes has a loss of 2.3


@pytest.mark.network
def test_the_language_model_writes_on():
    (program,) = re.findall(
        r"```python\n(from tinynn import generation.+?)```", README.read_text(), re.DOTALL
    )
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert printed.startswith(" Paris.")
    assert printed.endswith("] length\n")

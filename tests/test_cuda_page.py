"""What the page for writers of CUDA kernels shows runs as it stands."""

import re
from pathlib import Path

import pytest

from tests.cuda_on_cpu import LaunchError, why_no_compiler
from tinynn.kernels.cuda import compiler

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/cuda-kernels.md").read_text()
(SOURCE,) = re.findall(r"```cuda\n(.+?)```", PAGE, re.DOTALL)
(PROGRAM,) = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)
PRINTED, MESSAGE = re.findall(r"```\n(\[.+?|LaunchError.+?)```", PAGE, re.DOTALL)

pytestmark = pytest.mark.skipif(why_no_compiler() is not None, reason=str(why_no_compiler()))


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(compiler, "FOLDER", tmp_path)

    def program(source):
        (tmp_path / "port.cuh").write_text((ROOT / "kernels/cuda/port.cuh").read_text())
        (tmp_path / "reverse.cu").write_text(source)
        exec(PROGRAM, {})
        return capsys.readouterr().out

    return program


def test_the_example_prints_what_it_shows(run):
    assert run(SOURCE) == PRINTED


def test_a_missing_barrier_shows_as_nan(run):
    assert "nan" in run(SOURCE.replace("  __syncthreads();\n", ""))


def test_a_barrier_in_the_loop_is_an_error(run):
    loop = "row[j] = x[first + j];\n  __syncthreads();"
    assert loop in SOURCE
    with pytest.raises(LaunchError) as caught:
        run(SOURCE.replace(loop, "{ row[j] = x[first + j]; __syncthreads(); }"))
    assert f"LaunchError: {caught.value}" == MESSAGE.strip()


def test_the_files_and_modules_it_names_are_there():
    paths = re.findall(r"`((?:kernels|tests|tinynn)/[\w/.]+)`", PAGE)
    assert len(paths) >= 6
    assert [path for path in paths if not (ROOT / path).exists()] == []
    headers = re.findall(r"`(\w+\.cuh)`", PAGE)
    assert [name for name in headers if not (ROOT / "kernels/cuda" / name).exists()] == []
    modules = re.findall(r"python -m ([\w.]+)", PAGE)
    assert [name for name in modules if not (ROOT / f"{name.replace('.', '/')}.py").exists()] == []

"""The package as a user gets it: built, installed in an environment of its own, run from afar."""

from __future__ import annotations

import ast
import configparser
import importlib.metadata
import os
import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
IGNORED = shutil.ignore_patterns("__pycache__", "*.egg-info")

# Where the name that is imported is not the name that is installed; Numba pins its own llvmlite.
DISTRIBUTIONS = {"PIL": "pillow", "llvmlite": "numba"}
# Looked for at run time, and missed with a message that says how to get it.
OPTIONAL = {"pip", "cupy", "cupyx"}


def settings() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def requirements(section: str, option: str) -> dict[str, Requirement]:
    """Name -> requirement, of one list in setup.cfg."""
    lines = settings()[section][option].strip().splitlines()
    return {required.name: required for required in map(Requirement, lines)}


def imported(folder: str) -> set[str]:
    """The installable packages that the files of a folder import, wherever in a file."""
    names: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(node.module or "")
    tops = {name.partition(".")[0] for name in names}
    ours = {"tinynn", "kernels", "tests", "benchmarks"}
    return {DISTRIBUTIONS.get(top, top) for top in tops - set(sys.stdlib_module_names) - ours}


def test_every_folder_of_code_is_a_package_that_is_installed():
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts).replace("kernels", "tinynn.kernels", 1)
        if path.parent.relative_to(ROOT).parts[0] == "kernels"
        else ".".join(path.parent.relative_to(ROOT).parts)
        for top in ("tinynn", "kernels")
        for path in (ROOT / top).rglob("*.py")
    }
    assert sorted(settings()["options"]["packages"].split()) == sorted(folders)


@pytest.mark.parametrize("folder", ["tinynn", "kernels"])
def test_everything_imported_is_declared(folder):
    extras = settings()["options.extras_require"]
    declared = set(requirements("options", "install_requires")) | OPTIONAL
    for extra in ("llm", "serve", "mpi"):
        declared |= set(requirements(extras.name, extra))
    assert sorted(imported(folder) - declared) == []


def test_everything_declared_is_used():
    unused = (
        set(requirements("options", "install_requires")) - imported("tinynn") - imported("kernels")
    )
    assert unused == set()


def test_tests_import_what_their_extra_declares():
    declared = set(requirements("options", "install_requires"))
    declared |= set(requirements("options.extras_require", "test"))
    peers = {"torch", "cupy"}  # asked for with importorskip
    assert sorted(imported("tests") - declared - peers) == []


@pytest.mark.parametrize(
    ("section", "option"), [("options", "install_requires"), ("options.extras_require", "test")]
)
def test_ranges_hold_what_is_tested(section, option):
    outside = {
        str(required): installed
        for name, required in requirements(section, option).items()
        if (installed := importlib.metadata.version(name)) not in required.specifier
    }
    assert outside == {}


def run(*command: object, cwd: Path) -> str:
    """Run a command in another folder, without this process's paths, and return what it prints."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{command} failed:\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of a new environment with the package, and this one's dependencies, in it.

    Built from a copy of the checkout, so that the build leaves nothing behind here.
    """
    folder = tmp_path_factory.mktemp("install")
    source = folder / "source"
    for name in ("tinynn", "kernels"):
        shutil.copytree(ROOT / name, source / name, ignore=IGNORED)
    for path in ROOT.iterdir():
        if path.suffix in {".cfg", ".toml", ".md"} or path.name == "LICENSE":
            shutil.copy(path, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheels = folder / "wheels"
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", wheels, source, cwd=folder)

    environment = folder / "environment"
    venv.create(environment)
    python = environment / "bin" / "python"
    (wheel,) = wheels.iterdir()
    run(*pip, "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    packages = next(environment.glob("lib/python*/site-packages"))
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    return python.parent


def test_installed_package_is_the_one_that_runs(installed, tmp_path):
    code = (
        "import tinynn, tinynn.kernels; print(tinynn.__file__, tinynn.kernels.__file__, sep='\\n')"
    )
    for path in run(installed / "python", "-c", code, cwd=tmp_path).splitlines():
        assert Path(path).is_relative_to(installed.parent)


def test_installed_package_is_whole(installed):
    library = next(installed.parent.glob("lib/python*/site-packages/tinynn"))
    expected = {path.relative_to(ROOT / "tinynn") for path in (ROOT / "tinynn").rglob("*.py*")}
    expected |= {
        "kernels" / path.relative_to(ROOT / "kernels")
        for path in (ROOT / "kernels").rglob("*")
        if path.suffix in {".py", ".cu", ".cuh"}
    }
    found = {path.relative_to(library) for path in library.rglob("*")}
    assert sorted(path for path in expected - found if "__pycache__" not in path.parts) == []


@pytest.mark.parametrize(
    "arguments", [["--help"], ["info"], ["train", "mnist", "--help"]], ids=" ".join
)
def test_installed_command_runs(installed, tmp_path, arguments):
    assert "tinynn" in run(installed / "tinynn", *arguments, cwd=tmp_path)


KERNEL = """
import numpy as np
from tinynn.backend.devices import NUMPY
from tinynn.backend.kernel_table import reference_of

draw = np.random.default_rng(0)
x, weight, bias = (draw.standard_normal(shape, np.float32) for shape in [(7, 5), (3, 5), 3])
expected = np.maximum(x @ weight.T + bias, 0)
through_table = NUMPY.kernels.linear_activation(x, weight, bias, activation="relu")
from tinynn.kernels.cpu.linear import linear_activation
compiled = linear_activation(x, weight, bias, activation="relu")
reference = reference_of("linear_activation")(x, weight, bias, activation="relu")
for result in (through_table, compiled, reference):
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)
"""


def test_installed_kernels_compute_what_their_reference_computes(installed, tmp_path):
    # A warning is an error: the table warns when it falls back to the reference.
    run(installed / "python", "-W", "error", "-c", KERNEL, cwd=tmp_path)

"""The house in order: what an import loads, which way imports run, and what a file may hold."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tinynn as tn

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*ROOT.glob("tinynn/**/*.py"), *ROOT.glob("kernels/**/*.py")])
PACKAGES = sorted(path.parent for path in ROOT.glob("tinynn/**/__init__.py"))

HEAVY = {
    "numba", "llvmlite", "cupy", "ml_dtypes", "threadpoolctl", "safetensors", "typer", "click",
    "rich", "matplotlib", "PIL", "mpi4py", "tokenizers", "gguf", "jinja2", "starlette", "uvicorn",
    "importlib.metadata", "concurrent.futures", "multiprocessing", "asyncio", "dataclasses",
    "subprocess", "tinynn.kernels",
}  # fmt: skip

# From the top of the house to the bottom: a folder imports from its own row and the rows below.
LAYERS = [
    {"cli", "server", "studies"},
    {"inference", "generation", "distributed", "training"},
    {"models", "io", "data", "quant", "profiling"},
    {"nn", "optim", "capture"},
    {"ops"},
    {"autograd"},
    {"backend"},
    {"kernels"},
]
LAYER_OF = {folder: level for level, layer in enumerate(LAYERS) for folder in layer}


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh process has loaded after one statement."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    return set(subprocess.check_output([sys.executable, "-c", code], text=True).split())


def test_import_is_light():
    numpy, tinynn = loaded_by("import numpy"), loaded_by("import tinynn")
    assert "numpy" in tinynn
    assert sorted(tinynn & HEAVY - numpy) == []


def name_of(package: Path) -> str:
    return ".".join(package.relative_to(ROOT).parts)


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_exported_names_exist(package):
    module = importlib.import_module(name_of(package))
    exported = getattr(module, "__all__", [])
    assert [name for name in exported if not hasattr(module, name)] == []
    assert len(exported) == len(set(exported))


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_no_module_hides_an_exported_name(package):
    module = importlib.import_module(name_of(package))
    exported = {name for name in getattr(module, "__all__", []) if not is_module(module, name)}
    inside = {path.stem for path in package.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert sorted(exported & inside) == []


def is_module(package: object, name: str) -> bool:
    return inspect.ismodule(getattr(package, name))


def test_public_names_are_exported():
    assert set(tn.__all__) >= {"Tensor", "tensor", "no_grad", "grad", "nn", "optim", "manual_seed"}


def imports(path: Path) -> Iterator[str]:
    """The absolute names of the modules that a file imports, at its top or in a function."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    package = ".".join(("tinynn", *parts) if parts[0] == "kernels" else parts).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def folder_of(module: str) -> str | None:
    """The folder of tinynn that a module lies in; None for the package itself and for others."""
    parts = module.split(".")
    return parts[1] if parts[0] == "tinynn" and len(parts) > 1 and parts[1] in LAYER_OF else None


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_down(path):
    top, folder = path.relative_to(ROOT).parts[:2]
    level = LAYER_OF.get("kernels" if top == "kernels" else folder, 0)
    upward = [
        name
        for name in imports(path)
        if (target := folder_of(name)) is not None and LAYER_OF[target] < level
    ]
    assert upward == []


# What the folders inside generation import of it, besides themselves.
OF_GENERATION = {"chat_templates": {"extras"}, "tokenizers": {"chat_templates", "extras"}}


@pytest.mark.parametrize("folder", OF_GENERATION)
def test_imports_inside_generation_run_down(folder):
    files = list((ROOT / "tinynn" / "generation" / folder).glob("*.py"))
    inner = [name.split(".") for path in files for name in imports(path)]
    found = {name[2] for name in inner if name[:2] == ["tinynn", "generation"]}
    assert len(files) > 2
    assert found - {folder} <= OF_GENERATION[folder]


def test_every_folder_has_its_place_in_the_layers():
    folders = {path.name for path in (ROOT / "tinynn").iterdir() if any(path.glob("*.py"))}
    assert sorted(folders - set(LAYER_OF)) == []


def test_one_module_imports_the_kernels():
    importers = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        if path.relative_to(ROOT).parts[0] == "tinynn"
        and any(name.startswith("tinynn.kernels") for name in imports(path))
    }
    assert importers == {"tinynn/backend/kernel_table.py"}


def test_kernels_know_nothing_of_the_library():
    above = {
        str(path.relative_to(ROOT)): name
        for path in SOURCES
        if path.relative_to(ROOT).parts[0] == "kernels"
        for name in imports(path)
        if name.startswith("tinynn") and not name.startswith("tinynn.kernels")
    }
    assert above == {}


TEXTS = sorted(
    path
    for folder in ("tinynn", "kernels", "benchmarks", "tests", ".ci")
    for path in (ROOT / folder).rglob("*")
    if path.is_file() and path.suffix in {"", ".py", ".pyi", ".md", ".cu", ".cuh", ".html"}
) + sorted(path for path in ROOT.iterdir() if path.suffix in {".md", ".cfg", ".toml"})


def test_files_are_short():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in TEXTS
        if path.suffix == ".py" and (lines := len(path.read_text().splitlines())) > 400
    }
    assert long == {}


def test_no_path_of_one_machine_is_written_down():
    somewhere = re.compile(r"(?<![\w.])/(?:work|root|home|Users|tmp/[a-z]+)/\w+")
    found = {
        str(path.relative_to(ROOT)): match.group()
        for path in TEXTS
        if (match := somewhere.search(path.read_text())) and path != Path(__file__)
    }
    assert found == {}

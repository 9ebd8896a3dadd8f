"""What every study leaves: a report with numbers of its own run, and the figures it shows."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinynn.studies import load_study, study_names
from tinynn.studies.shared.study import Results, read_results

STUDIES = Path(__file__).parents[2] / "tinynn" / "studies"
HEADINGS = ["What was asked", "In short", "What was run", "What was seen", "Why", "This run"]
TEXTS = {"answer", "ran", "seen", "why"}


def test_the_folder_is_complete(quick_run):
    study, folder, document = quick_run
    report = (folder / "report.md").read_text()
    assert re.findall(r"^## (.+)$", report, re.MULTILINE) == HEADINGS
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", report)
    assert sorted({"report.md", "results.json", *pictures}) == sorted(
        path.name for path in folder.iterdir()
    )
    assert len(pictures) == len(set(pictures)) > 0
    for name in pictures:
        with Image.open(folder / name) as picture:
            grey = np.asarray(picture.convert("L"))
        assert grey.std() > 5  # something is drawn
        assert picture.width <= 1600
    assert document["study"] == study.name
    assert document["conditions"]["quick"] is True
    assert document["conditions"]["seed"] == 1


def test_lines_fit(quick_run):
    lines = (quick_run[1] / "report.md").read_text().splitlines()
    assert [line for line in lines if len(line) > 100 and not line.startswith(("|", "!"))] == []
    assert [line for line in lines if line.startswith("|") and len(line) > 110] == []


def test_the_report_is_made_from_the_results_alone(quick_run):
    study, folder, _ = quick_run
    results = read_results((folder / "results.json").read_text())
    assert study.report(results) == (folder / "report.md").read_text()


def scrambled(value, random):
    """The same structure with every float changed by 15 to 45 percent, downwards."""
    if isinstance(value, float):
        return value * random.uniform(0.55, 0.85)
    if isinstance(value, dict):
        return {name: scrambled(item, random) for name, item in value.items()}
    if isinstance(value, list):
        return [scrambled(item, random) for item in value]
    return value


def decimals(text):
    """The numbers with a decimal point in a text, and those in percent, as they are written.

    Those of one digit, such as a spread of 0.01, are left out: two runs share them by chance.
    """
    found = re.findall(r"\d[\d,]*\.\d+(?:e[-+]?\d+)?|\d+(?=%)", text)
    return {number for number in found if len(re.sub(r"e.*|\D", "", number).strip("0")) > 1}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_no_number_of_another_run_stands_in_the_report(quick_run):
    study, folder, document = quick_run
    first = read_results((folder / "results.json").read_text())
    texts = [study.answer, study.ran, study.seen, study.why]
    survivors = decimals("\n".join(text(first) for text in texts))
    for seed in range(12):
        random = np.random.default_rng(seed)
        other = first._replace(measured=scrambled(first.measured, random))
        survivors &= decimals("\n".join(text(other) for text in texts))
    known = decimals(json.dumps(document["settings"])) | decimals(constant_texts(study.name))
    labels = decimals(" ".join(strings(document["measured"])))
    shares = {f"{100 * float(number):g}" for number in known}
    assert survivors - known - labels - shares == set()


def strings(value):
    """Every string in a structure, names of values among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from (name, *strings(item))
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


# ---- the source


def modules_of(name):
    stem = name.replace("-", "_")
    folder = STUDIES / stem
    return sorted(folder.glob("*.py")) if folder.is_dir() else [STUDIES / f"{stem}.py"]


def functions_of(name):
    return {
        node.name: node
        for path in modules_of(name)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }


def constant_texts(name):
    """What is the same in every report of a study, such as its sources."""
    return load_study(name).question + "".join(
        node.value.value
        for path in modules_of(name)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign)
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    )


def reached(name):
    """The functions of a study that its texts are made by."""
    functions = functions_of(name)
    todo, found = sorted(TEXTS), {}
    while todo:
        current = todo.pop()
        if current in functions and current not in found:
            found[current] = functions[current]
            todo += [node.id for node in ast.walk(functions[current]) if isinstance(node, ast.Name)]
    return found


def words_of(function):
    """The string constants of a function that can come into a text; not format specifications."""
    skip = {id(function.body[0].value)} if ast.get_docstring(function) else set()
    for node in ast.walk(function):
        if isinstance(node, ast.FormattedValue) and node.format_spec is not None:
            skip |= {id(part) for part in ast.walk(node.format_spec)}
    for node in ast.walk(function):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skip:
            yield node.value


@pytest.mark.parametrize("name", study_names())
def test_sentences_hold_no_numbers(name):
    found = reached(name)
    assert found.keys() >= TEXTS
    numbers = [
        text
        for function in found.values()
        for text in words_of(function)
        if re.search(r"\d", re.sub(r"`[^`]*`", "", text))
    ]
    assert numbers == []


@pytest.mark.parametrize("name", study_names())
def test_a_study_says_what_it_is(name):
    study = load_study(name)
    assert study.name == name
    assert 20 < len(study.summary) <= 80
    assert "\n" not in study.summary
    assert type(study.full) is type(study.quick)
    assert isinstance(Results({}, {}, {}), tuple)

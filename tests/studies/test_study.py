"""Running a study: what it may write where, and that all of it comes from the results."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from tinynn.studies import load_study
from tinynn.studies.shared.study import Results, Study, run_study
from tinynn.studies.shared.workers import Workers
from tinynn.training.figure import new_figure


@dataclass(frozen=True)
class Settings:
    throws: int


def measure(settings, seed, workers):
    return {"heads": 0.5 * settings.throws, "seed": seed}


def draw(results: Results):
    figure = new_figure(4, 3)
    figure.subplots().bar(["heads"], [results.measured["heads"]])
    return {"heads.png": figure}


COIN = Study(
    name="coin",
    summary="How often a coin shows heads",
    question="Is it fair?",
    full=Settings(1000),
    quick=Settings(10),
    measure=measure,
    draw=draw,
    answer=lambda results: f"It showed {results.measured['heads']:.0f} heads.",
    ran=lambda results: f"{results.settings['throws']} throws.",
    seen=lambda results: "![Heads](heads.png)",
    why=lambda results: "It is a coin.",
)


def run(folder, **options):
    return run_study(COIN, folder, Workers(1, say=lambda line: None), **options)


def test_the_report_holds_every_part_in_order(tmp_path):
    run(tmp_path / "new" / "coin", seed=3)
    report = (tmp_path / "new" / "coin" / "report.md").read_text()
    parts = ["# Coin", "Is it fair?", "It showed 500 heads.", "1000 throws.", "![Heads](heads.png)"]
    places = [report.index(part) for part in [*parts, "It is a coin.", "- kind: full", "- seed: 3"]]
    assert places == sorted(places)


def test_results_are_what_was_measured(tmp_path):
    results = run(tmp_path, quick=True, seed=4)
    document = json.loads((tmp_path / "results.json").read_text())
    assert document["measured"] == results.measured == {"heads": 5.0, "seed": 4}
    assert document["settings"] == {"throws": 10}
    assert document["conditions"]["quick"] is True
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("heads.png", "report.md", "results.json")
    ]


def test_a_study_is_replaced_only_when_told(tmp_path):
    run(tmp_path, seed=1)
    before = (tmp_path / "report.md").read_text()
    with pytest.raises(FileExistsError, match=r"holds a study already.*--overwrite"):
        run(tmp_path, seed=2)
    assert (tmp_path / "report.md").read_text() == before
    run(tmp_path, seed=2, overwrite=True)
    assert "- seed: 2" in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize("overwrite", [False, True])
def test_other_things_are_left_alone(tmp_path, overwrite):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="something other than a study"):
        run(tmp_path, overwrite=overwrite)
    with pytest.raises(FileExistsError, match="is a file, expected a folder"):
        run(tmp_path / "thesis.txt", overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_run_that_fails_leaves_what_was_there(tmp_path):
    run(tmp_path, seed=1)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(settings, seed, workers):
        raise MemoryError

    broken = Study(**{**vars(COIN), "measure": fail})
    with pytest.raises(MemoryError):
        run_study(broken, tmp_path, Workers(1, say=lambda line: None), overwrite=True)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_results_that_json_cannot_hold_are_refused(tmp_path):
    broken = Study(**{**vars(COIN), "measure": lambda *_: {"heads": float("nan")}})
    with pytest.raises(ValueError, match="JSON"):
        run_study(broken, tmp_path / "coin", Workers(1, say=lambda line: None))
    assert not Path(tmp_path / "coin").exists()


def test_an_unknown_study_is_refused():
    with pytest.raises(ValueError, match=r"no study 'shared', expected one of .*nonlinearity"):
        load_study("shared")

"""What a study is, and what its folder holds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tinynn.backend.machine import ABSENT, machine, versions
from tinynn.io.atomic import StrPath, atomic_write, remove_leftovers
from tinynn.studies.shared.report import wrapped
from tinynn.studies.shared.training import compile_kernels
from tinynn.studies.shared.workers import Workers
from tinynn.training.figure import save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Results", "Study", "run_study"]

FORMAT = 1
REPORT, RESULTS = "report.md", "results.json"


class Results(NamedTuple):
    """What a run of a study knows: all that its figures and its report are made from."""

    settings: dict[str, Any]
    """The study's own settings in this run, by name."""
    measured: dict[str, Any]
    """What `Study.measure` gave, as JSON keeps it: numbers, strings, lists, dicts with strings."""
    conditions: dict[str, Any]
    """Seed, data, machine, versions and duration."""


@dataclass(frozen=True)
class Study:
    """A question, and how it is answered.

    Arguments:
        name: as on the command line.
        summary: one line, for the list of studies.
        question: what was asked and why one would; Markdown.
        full, quick: the settings, two instances of a frozen dataclass of the study's own. The quick
            ones show that it works, in less than a minute; conclusions need the full ones.
        measure: carries out the runs. It is given the settings, the seed and the workers, and
            returns what was measured, fit for JSON.
        draw: the figures by file name, from results alone.
        answer: the findings in a few sentences, from results alone; so are the next three.
        ran, seen, why: what was run, what came of it (with the figures), and the explanation.
        data: what it is run on where nothing is given.

    The texts hold no number of their own: each is one of the results, so that a report tells of its
    own run only. And they say what the numbers say: an effect that did not show is told as that.
    """

    name: str
    summary: str
    question: str
    full: Any
    quick: Any
    measure: Callable[[Any, int, Workers], dict[str, Any]]
    draw: Callable[[Results], Mapping[str, Figure]]
    answer: Callable[[Results], str]
    ran: Callable[[Results], str]
    seen: Callable[[Results], str]
    why: Callable[[Results], str]
    data: str = "MNIST"

    def report(self, results: Results) -> str:
        """The whole report, Markdown."""
        sections = {
            "What was asked": self.question,
            "In short": self.answer(results),
            "What was run": self.ran(results),
            "What was seen": self.seen(results),
            "Why": self.why(results),
            "This run": _describe(results, self.data),
        }
        title = self.name.replace("-", " ").capitalize()
        texts = [f"## {heading}\n\n{wrapped(text)}\n" for heading, text in sections.items()]
        return "\n".join([f"# {title}\n", *texts])


def run_study(
    study: Study,
    folder: StrPath,
    workers: Workers,
    *,
    quick: bool = False,
    seed: int = 0,
    overwrite: bool = False,
) -> Results:
    """Runs a study and leaves report.md, results.json and figures in a folder.

    Nothing is written before all runs are finished.

    Raises FileExistsError for a folder that holds a report, unless it is to be overwritten, and for
    one that holds something else.
    """
    path = Path(folder)
    check_folder(path, overwrite)
    settings = study.quick if quick else study.full
    compile_kernels(workers.say)
    began = time.perf_counter()
    measured = study.measure(settings, seed, workers)
    document = {
        "format": FORMAT,
        "study": study.name,
        "settings": asdict(settings),
        "conditions": {
            "quick": quick,
            "seed": seed,
            **workers.place._asdict(),
            "processes": workers.processes,
            "seconds": time.perf_counter() - began,
            "machine": machine(),
            "versions": versions(),
        },
        "measured": measured,
    }
    # What a reader will find in the file, and not what was put into it, makes figures and report.
    text = json.dumps(document, indent=1, allow_nan=False) + "\n"
    results = read_results(text)
    path.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
    for name, figure in study.draw(results).items():
        save_figure(figure, path / name)
    for name, content in ((RESULTS, text), (REPORT, study.report(results))):
        with atomic_write(path / name, "w") as file:
            file.write(content)
    return results


def read_results(text: str) -> Results:
    """The results that a results.json holds."""
    document = json.loads(text)
    return Results(document["settings"], document["measured"], document["conditions"])


def check_folder(path: Path, overwrite: bool) -> None:
    """Raises FileExistsError where a study must not write."""
    if path.is_file():
        raise FileExistsError(f"{path} is a file, expected a folder for the report (--out)")
    if not path.is_dir() or not any(path.iterdir()):
        return
    if not (path / RESULTS).is_file():
        raise FileExistsError(
            f"{path} holds something other than a study; choose another folder (--out)"
        )
    if not overwrite:
        raise FileExistsError(
            f"{path} holds a study already: replace it (--overwrite), or choose another folder "
            "(--out)"
        )


def _describe(results: Results, data: str) -> str:
    conditions = results.conditions
    computer = conditions["machine"]
    installed = {
        name: number for name, number in conditions["versions"].items() if number != ABSENT
    }
    kind = "quick (too short to conclude from)" if conditions["quick"] else "full"
    facts = {
        "kind": kind,
        "seed": conditions["seed"],
        "data": conditions["data"] or data,
        "device": conditions["device"],
        "machine": f"{computer['processor']}, {computer['cores']} cores",
        "processes": conditions["processes"],
        "duration": f"{conditions['seconds']:.0f} s",
        "versions": ", ".join(f"{name} {number}" for name, number in installed.items()),
        "settings": ", ".join(f"{name} {_plain(v)}" for name, v in results.settings.items()),
    }
    return "\n".join(f"- {name}: {value}" for name, value in facts.items())


def _plain(value: Any) -> str:
    if value is None:
        return "all"
    return " ".join(map(_plain, value)) if isinstance(value, list) else str(value)

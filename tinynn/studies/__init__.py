"""The case studies: each a question about networks, answered by running them here.

A study is one file of this folder: a question, runs, figures and findings, put together as a
`Study` named STUDY; or a folder, where it is too long for one file. The name `learning_rate` gives
the study `learning-rate`. What several studies need is in `shared`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from tinynn.studies.shared.study import Study

__all__ = ["load_study", "study_names"]


def study_names() -> list[str]:
    """The names of the studies, in alphabetical order.

    >>> "nonlinearity" in study_names()
    True
    """
    here = Path(__file__).parent
    found = [*here.glob("[!_]*.py"), *(path.parent for path in here.glob("*/__init__.py"))]
    return sorted(path.stem.replace("_", "-") for path in found if path.stem != "shared")


def load_study(name: str) -> Study:
    """The study of a name; ValueError, which lists them, for another.

    >>> load_study("nonlinearity").name
    'nonlinearity'
    """
    if name not in study_names():
        raise ValueError(f"there is no study {name!r}, expected one of {', '.join(study_names())}")
    study: Study = import_module(f"tinynn.studies.{name.replace('-', '_')}").STUDY
    return study

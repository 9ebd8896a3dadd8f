"""Each study's quick run on drawn digits or sentences, made once."""

from __future__ import annotations

import json

import pytest

import tinynn as tn
from tests.studies.drawn_text import write_text
from tests.training.drawn_digits import write_dataset
from tinynn.studies import load_study, study_names
from tinynn.studies.shared.study import run_study
from tinynn.studies.shared.workers import Workers


@pytest.fixture(autouse=True)
def one_thread():
    """The networks are tiny: more threads would only wait for each other."""
    before = tn.get_num_threads()
    tn.set_num_threads(1)
    yield
    tn.set_num_threads(before)


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """A folder of drawn digits in the form of MNIST's files."""
    return write_dataset(tmp_path_factory.mktemp("digits"), train=1200, test=400)


@pytest.fixture(scope="session")
def text(tmp_path_factory):
    """A file of drawn sentences."""
    return write_text(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="session", params=study_names())
def quick_run(request, digits, text, tmp_path_factory):
    """A study, the folder that its quick run left, and the document of its results."""
    study = load_study(request.param)
    folder = tmp_path_factory.mktemp("reports") / request.param
    data = digits if study.data == "MNIST" else text
    workers = Workers(1, data=str(data), say=lambda line: None)
    tn.set_num_threads(1)
    run_study(study, folder, workers, quick=True, seed=1)
    return study, folder, json.loads((folder / "results.json").read_text())

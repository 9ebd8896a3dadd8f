"""The benchmarks' harness: processes of their own, reports that fit and stay."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.harness import (
    WIDTH,
    has_peer,
    run_fresh,
    run_measured,
    table,
    write_json,
)
from tinynn.backend.machine import version


def test_a_process_gives_its_output_and_time():
    run = run_measured(["-c", "import time; time.sleep(0.1); print('one'); print('two')"])
    assert run.output == "one\ntwo"
    assert run.seconds >= 0.1


def test_the_peak_memory_is_that_of_the_process_alone():
    size = 150_000_000
    ours = np.ones(2 * size, np.uint8)
    code = (
        "import sys; block = bytearray(int(sys.argv[1])); block[::4096] = b'x' * len(block[::4096])"
    )
    small, large = (run_measured(["-c", code, str(bytes)]) for bytes in (0, size))
    assert 0 < small.peak_bytes < size < len(ours)
    assert 0.9 * size < large.peak_bytes - small.peak_bytes < 1.2 * size


def test_a_failed_process_ends_the_benchmark():
    with pytest.raises(SystemExit, match="ended with status 3"):
        run_fresh("import sys; sys.exit(3)")
    with pytest.raises(SystemExit, match="ended with status 3"):
        run_measured(["-c", "import sys; sys.exit(3)"])


def test_figures_are_written_with_what_they_depend_on(tmp_path):
    write_json(str(tmp_path / "step.json"), "step", {"seconds": 0.5})
    document = json.loads((tmp_path / "step.json").read_text())
    assert document["benchmark"] == "step"
    assert document["figures"] == {"seconds": 0.5}
    assert {"processor", "cores", "load"} <= document["machine"].keys()
    assert {"python", "tinynn", "numpy"} <= document["versions"].keys()
    assert document["date"].endswith("+00:00")
    write_json(None, "step", {})
    assert [path.name for path in tmp_path.iterdir()] == ["step.json"]


def test_table_refuses_what_does_not_fit():
    fits = "x" * (WIDTH - 4)
    assert max(map(len, table(["a", "b"], [[fits, 10]]).splitlines())) == WIDTH
    with pytest.raises(ValueError, match="do not fit 100 columns"):
        table(["a", "b"], [[fits, 100]])


def test_absent_package_has_no_version():
    assert version("a-package-that-nobody-has") == "absent"


def test_absent_peer_is_left_out_with_advice(capsys):
    assert not has_peer("a_package_that_nobody_has")
    assert "install -e '.[bench]' adds it" in capsys.readouterr().err

"""The benchmarks' harness: fair turns, processes of their own, reports that fit and stay."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.harness import (
    WIDTH,
    Rounds,
    calls_in,
    compare,
    has_peer,
    in_turn,
    run_fresh,
    run_measured,
    table,
    version,
    write_json,
)


def test_in_turn_lets_each_go_first():
    calls = []

    def measure(name):
        calls.append(name)
        return float(len(calls))

    rounds = in_turn({name: lambda name=name: measure(name) for name in "abc"}, rounds=3)
    assert calls == [*"abc", *"bca", *"cab"]
    assert rounds == {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]}


def test_rounds_compare_within_a_round():
    # The second round was disturbed, and both candidates with it.
    rounds = Rounds({"mine": [2.0, 90.0, 6.0], "its": [1.0, 50.0, 2.0]})
    assert rounds.median("mine") == 6
    assert rounds.ratio("mine", "its") == 2
    assert rounds.difference("mine", "its") == 4


def test_compare_calls_each_candidate_as_often_as_fits():
    calls = {"fast": 0, "slow": 0}

    def fast():
        calls["fast"] += 1

    def slow():
        calls["slow"] += 1
        sum(range(20_000))

    rounds = compare({"fast": fast, "slow": slow}, rounds=2, seconds=0.002)
    assert calls["fast"] > calls["slow"] > 2
    assert [len(rounds[name]) for name in ("fast", "slow")] == [2, 2]


def test_a_process_gives_its_output_and_time():
    run = run_measured(["-c", "import time; time.sleep(0.1); print('one'); print('two')"])
    assert run.output == "one\ntwo"
    assert run.seconds >= 0.1


def test_the_clock_stops_after_the_device_has_finished():
    finished = []
    calls_in(lambda: None, 1e-6, finish=lambda: finished.append(True))
    assert finished


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

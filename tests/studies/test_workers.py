"""Workers: many tasks at once, as if they were done one after the other."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.studies.tasks import Draw, draw, fail, process_number, vanish
from tinynn.studies.shared.workers import Place, Workers


def silent(line):
    pass


def test_results_depend_on_tasks_alone():
    tasks = [Draw(seed) for seed in (5, 3, 5, 8)]
    one, two = (Workers(n, data="images", say=silent).map("t", draw, tasks) for n in (1, 2))
    assert one == two
    numbers, places, threads = zip(*one, strict=True)
    assert numbers[0] == numbers[2]
    assert len(set(numbers)) == 3
    assert set(places) == {Place("images", "cpu")}
    assert set(threads) == {1}


def test_tasks_run_in_processes_of_their_own():
    numbers = Workers(2, say=silent).map("t", process_number, range(4))
    assert os.getpid() not in numbers
    assert len(set(numbers)) == 2


def test_what_was_done_is_said():
    lines = []
    Workers(1, say=lines.append).map("drawing", draw, [Draw(0), Draw(1)])
    (line,) = lines
    assert line.startswith("drawing: 2 runs in 0:0")


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_in_a_task_ends_the_work(processes):
    began = time.perf_counter()
    with pytest.raises(ValueError, match="task 3 fails"):
        Workers(processes, say=silent).map("t", fail, [3, *range(4, 2000)])
    assert time.perf_counter() - began < 30  # the other 1,996 would take 50 seconds


def test_a_process_that_vanishes_is_told():
    with pytest.raises(RuntimeError, match="for want of memory; try --processes 1"):
        Workers(2, say=silent).map("t", vanish, range(4))


def test_no_processes_are_refused():
    with pytest.raises(ValueError, match="processes is 0, expected at least 1"):
        Workers(0)


PARENT = """
from tests.studies.tasks import process_number
from tinynn.studies.shared.workers import Workers
if __name__ == "__main__":
    print("ready", flush=True)
    Workers(2).map("t", process_number, range(1000))
"""


def children_of(pid):
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes through /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_parent(number, tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    root = str(Path(__file__).parents[2])
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": root},
    )
    deadline = time.monotonic() + 60
    while len(children_of(parent.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    workers = children_of(parent.pid)
    assert len(workers) >= 2
    time.sleep(1)
    parent.send_signal(number)
    parent.communicate(timeout=60)
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in workers if Path(f"/proc/{pid}").exists()] == []


def test_a_task_may_have_a_process_alone():
    numbers = Workers(2, say=silent).map("t", process_number, range(3), alone=True)
    assert os.getpid() not in numbers
    assert len(set(numbers)) == 3
    tasks = [Draw(seed) for seed in (5, 3)]
    alone = Workers(1, data="images", say=silent).map("t", draw, tasks, alone=True)
    assert alone == Workers(1, data="images", say=silent).map("t", draw, tasks)


def test_the_first_task_alone_that_fails_ends_the_work():
    with pytest.raises(ValueError, match="task 3 fails"):
        Workers(2, say=silent).map("t", fail, [1, 3, 2], alone=True)

"""Candidates in processes of their own, timed in turn.

Libraries that share a process disturb each other: the threads of each go on spinning for a while
when their work is done, and what one allocates decides where the memory of another comes from.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import NamedTuple

from benchmarks.harness import ROOT, thread_limits
from tinynn.backend.timing import Rounds, calls_in, in_turn, seconds_per_call


class Candidate(NamedTuple):
    """What makes a function without arguments, to be timed.

    Attributes:
        module: where to import from.
        expression: what gives the function, with what that module and `workloads` have.
        peer: the package it compares with, which may fail; None for what must work.
    """

    module: str
    expression: str
    peer: str | None = None


class Pace(NamedTuple):
    """How many rounds there are, and the seconds that each candidate is called in each."""

    rounds: int
    seconds: float


def time_in_turn(candidates: Mapping[str, Candidate], threads: int, pace: Pace) -> Rounds:
    """Times the candidates, less the peers that do not work here: a line on stderr says so.

    Arguments:
        threads: how many threads the libraries of each may use.
    """
    workers: dict[str, Worker] = {}
    try:
        for name, candidate in candidates.items():
            workers[name] = Worker(candidate, threads, pace.seconds)
            failure = workers[name].failure()
            if failure is None:
                continue
            if candidate.peer is None:
                raise SystemExit(failure)
            workers.pop(name).stop()
            reason = failure.rstrip().rpartition("\n")[2]
            print(f"{name} does not work here, so it is left out ({reason})", file=sys.stderr)
        return in_turn({name: worker.measure for name, worker in workers.items()}, pace.rounds)
    finally:
        for worker in workers.values():
            worker.stop()


class Worker:
    """A candidate in a process of its own."""

    def __init__(self, candidate: Candidate, threads: int, seconds: float) -> None:
        code = (
            "from benchmarks.workers import serve\n"
            "from benchmarks.workloads import *\n"
            f"from {candidate.module} import *\n"
            f"serve(lambda: {candidate.expression}, {seconds})"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=os.environ | thread_limits(threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def failure(self) -> str | None:
        """Waits until the candidate is warm; gives the traceback where it can't be."""
        return self._answer()

    def measure(self) -> float:
        """The mean seconds of a call in one round."""
        assert self.process.stdin is not None
        print("again", file=self.process.stdin, flush=True)
        return self._answer()

    def stop(self) -> None:
        """Ends the process."""
        self.process.communicate()

    def _answer(self):
        """What the process says next; SystemExit where it has ended."""
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.process.args}: ended with status {self.process.wait()}")
        return json.loads(answer)


def serve(make: Callable[[], Callable[[], object]], seconds: float) -> None:
    """What a worker's process does: times a round whenever it is asked for one.

    A candidate that starts work without waiting for it has an attribute `finish`, which waits.
    """
    try:
        candidate = make()
        finish = getattr(candidate, "finish", None)
        calls = calls_in(candidate, seconds, finish)
    except Exception:
        print(json.dumps(traceback.format_exc()), flush=True)
        return
    print(json.dumps(None), flush=True)
    for _ in sys.stdin:
        print(seconds_per_call(candidate, calls, finish), flush=True)

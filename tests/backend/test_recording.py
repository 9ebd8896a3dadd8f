"""Listeners: which of them a thread has, in whatever order they begin and end."""

import threading

import pytest

from tinynn.backend import kernel_table, recording


class Listener:
    def __init__(self, records, is_here=True):
        self.records = records
        self.here = is_here

    def is_here(self):
        return self.here

    def timed(self, name, function, *arguments):
        return name, function(*arguments)


@pytest.fixture(autouse=True)
def nobody_is_left():
    yield
    assert recording.active is None
    assert recording._listeners == []
    assert kernel_table._observer is None


def test_the_one_that_began_last_is_told():
    profiler, recorder = Listener(False), Listener(True)
    assert recording.current_listener() is None
    recording.begin(profiler)
    assert recording.current_listener() is recording.current_profiler() is profiler
    assert recording.current() is None
    recording.begin(recorder)
    assert recording.current_listener() is recording.current() is recorder
    assert recording.current_profiler() is None
    recording.end(recorder)
    assert recording.current_profiler() is profiler
    recording.end(profiler)
    assert recording.current_listener() is None


def test_those_of_other_threads_are_no_hindrance():
    mine, other = Listener(False), Listener(True, is_here=False)
    recording.begin(mine)
    recording.begin(other)
    assert recording.current_profiler() is mine
    recording.end(mine)  # while the other is still at work
    assert recording.active is other
    assert recording.current_listener() is None
    recording.end(other)


def test_ending_twice_does_nothing():
    listener = Listener(True)
    recording.begin(listener)
    recording.end(listener)
    recording.end(listener)


def test_many_threads_begin_and_end_at_once():
    def work():
        for _ in range(300):
            listener = Listener(False)
            recording.begin(listener)
            recording.end(listener)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_function_is_timed_by_a_profiler_alone():
    assert recording.timed("abs", abs) is abs
    recorder, profiler = Listener(True), Listener(False)
    recording.begin(recorder)
    assert recording.timed("abs", abs) is abs
    recording.end(recorder)
    recording.begin(profiler)
    assert recording.timed("abs", abs)(-3) == ("abs", 3)
    recording.end(profiler)

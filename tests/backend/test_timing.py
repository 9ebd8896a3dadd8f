"""Fair timings: candidates take turns, and ratios are within a round."""

from tinynn.backend.timing import Rounds, calls_in, compare, in_turn


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


def test_the_clock_stops_after_the_device_has_finished():
    finished = []
    calls_in(lambda: None, 1e-6, finish=lambda: finished.append(True))
    assert finished

"""The trace: what the format needs, and each event within the one that it is a part of."""

import json

import pytest

import tinynn as tn
from tests.profiling.steps import STEP, training


def trace_of(profile, folder):
    profile.save(folder / "trace.json")
    document = json.loads((folder / "trace.json").read_text())
    return [event for event in document["traceEvents"] if event["ph"] == "X"]


def parents(events):
    """For each event the one that it lies in; AssertionError where two overlap."""
    found, within = [], []
    for event in events:
        end = event["ts"] + event["dur"]
        while within and event["ts"] >= within[-1]["ts"] + within[-1]["dur"] - 1e-6:
            within.pop()
        if within:
            assert end <= within[-1]["ts"] + within[-1]["dur"] + 1e-6
        found.append(within[-1] if within else None)
        within.append(event)
    return found


@pytest.mark.parametrize("compiled", [False, True])
def test_events_have_what_the_format_needs(tmp_path, compiled):
    step = training(compiled=compiled)
    with tn.profile() as profile:
        step()
        step()
    profile.save(tmp_path / "trace.json")
    document = json.loads((tmp_path / "trace.json").read_text())
    assert set(document) == {"displayTimeUnit", "traceEvents"}
    for event in document["traceEvents"]:
        assert isinstance(event["name"], str)
        assert event["name"]
        assert {type(event[key]) for key in ("pid", "tid")} == {int}
        assert event["ph"] in ("X", "M")
        if event["ph"] == "X":
            assert event["ts"] >= 0
            assert event["dur"] >= 0
            assert event["cat"]
            assert event["args"]["bytes"] >= 0
    starts = [event["ts"] for event in document["traceEvents"] if event["ph"] == "X"]
    assert starts == sorted(starts)


def test_kernels_lie_within_their_operations(tmp_path):
    step = training()
    with tn.profile() as profile:
        step()
    events = trace_of(profile, tmp_path)
    of = list(zip(events, parents(events), strict=True))
    assert [event["name"] for event, parent in of if parent is None] == ["profile"]
    operations = [event["name"] for event, parent in of if parent is events[0]]
    assert sorted(operations) == sorted(name for name, count in STEP.items() for _ in range(count))
    nested = {event["name"]: parent["name"] for event, parent in of if parent is not None}
    assert nested["add_bias_and_activate"] in ("linear", "linear_activation")
    assert nested["multiply_and_sum"] == "linear_activation backward"
    assert nested["descend"] == "SGD.step"


def test_the_calls_of_a_replay_lie_within_operations_within_the_replay(tmp_path):
    step = training(compiled=True)
    step()
    with tn.profile() as profile:
        step()
    events = trace_of(profile, tmp_path)
    of = list(zip(events, parents(events), strict=True))
    assert [event["name"] for event, parent in of if parent is events[0]] == ["replay"]
    calls = [(parent["name"], event["name"]) for event, parent in of if parent is not None]
    expected = [(call.operation, call.name) for call in step.step.plan.calls]
    assert [pair for pair in calls if pair[0] in STEP] == expected


def test_the_file_is_replaced_whole_or_not_at_all(tmp_path):
    with tn.profile() as profile:
        tn.exp(tn.ones(3))
    path = tmp_path / "trace.json"
    path.write_text("before")
    profile.save(path)
    assert len(json.loads(path.read_text())["traceEvents"]) == 3
    with pytest.raises(OSError, match="missing"):
        profile.save(tmp_path / "missing" / "trace.json")
    assert [entry.name for entry in tmp_path.iterdir()] == ["trace.json"]

"""The block of a profile: where it begins and ends, nesting, exceptions, and its table."""

import re

import pytest

import tinynn as tn
from tests.profiling.steps import counts, training
from tinynn.backend import kernel_table, recording


def test_nothing_is_measured_before_and_after():
    x = tn.ones(3)
    tn.exp(x)
    with tn.profile() as profile:
        tn.sqrt(x)
    rows, seconds = profile.rows, profile.seconds
    tn.exp(x)
    assert counts(profile) == {"sqrt": 1}
    assert (profile.rows, profile.seconds) == (rows, seconds)
    assert recording.active is None
    assert kernel_table._observer is None


def test_a_block_may_lie_in_another():
    step = training(compiled=True)
    step()
    with tn.profile() as outer:
        tn.exp(tn.ones(3))
        with tn.profile() as inner:
            step()
            tn.sqrt(tn.ones(3))
        tn.exp(tn.ones(3))
    assert counts(inner)["sqrt"] == 1
    assert "exp" not in counts(inner)
    assert counts(outer) == counts(inner) | {"exp": 2}
    assert inner.seconds < outer.seconds
    inner_rows = sum(row.seconds for row in inner.rows)
    exp = next(row.seconds for row in outer.rows if row.operation == "exp")
    assert sum(row.seconds for row in outer.rows) == pytest.approx(inner_rows + exp)
    assert outer.rest > inner.rest
    assert recording.active is None


def test_what_lies_in_an_inner_block_is_no_part_of_an_operation_around_it():
    x = tn.ones(3, requires_grad=True)
    result = tn.exp(x)

    def hook(gradient):
        with tn.profile():
            for _ in range(50):
                tn.sqrt(gradient)

    result.register_hook(hook)
    with tn.profile() as profile:
        result.sum().backward()
    assert counts(profile)["sqrt"] == 50
    assert sum(row.seconds for row in profile.rows) + profile.rest == pytest.approx(profile.seconds)
    assert profile.rest > 0


def test_an_exception_ends_the_block():
    def fail():
        with profile:
            tn.exp(tn.ones(3))
            raise ZeroDivisionError

    profile = tn.profile()
    with pytest.raises(ZeroDivisionError):
        fail()
    assert counts(profile) == {"exp": 1}
    assert recording.active is None


def test_an_operation_that_fails_is_an_operation():
    with tn.profile() as profile:
        with pytest.raises(RuntimeError, match="add"):
            tn.ones(3) + tn.ones(4)
        tn.exp(tn.ones(3))
    assert counts(profile) == {"add": 1, "exp": 1}


def test_a_backward_pass_that_fails_leaves_the_rest_right():
    def fail(gradient):
        raise ZeroDivisionError

    x = tn.ones(3, requires_grad=True)
    first, second = tn.exp(x), tn.sqrt(x)
    first.register_hook(fail)
    freed = second.sum()
    freed.backward()
    with tn.profile() as profile:
        with pytest.raises(ZeroDivisionError):
            first.sum().backward()
        with pytest.raises(RuntimeError, match="freed"):
            freed.backward()
        (x * 2.0).sum().backward()
    found = counts(profile)
    assert found["mul"] == found["mul backward"] == 1
    assert sum(row.seconds for row in profile.rows) + profile.rest == pytest.approx(profile.seconds)
    assert profile.rest > 0


def test_a_replay_that_fails_keeps_what_was_done():
    weight = tn.ones(4, 3, requires_grad=True)

    @tn.compile
    def loss(x, y):
        return tn.nn.functional.cross_entropy(x @ weight, y).detach()

    x = tn.ones(2, 4)
    loss(x, tn.tensor([0, 1]))
    with tn.profile() as profile, pytest.raises(IndexError, match="target"):
        loss(x, tn.tensor([0, 7]))
    assert ("matmul", "matmul") in [(row.operation, row.call) for row in profile.rows]
    assert recording.active is None


def test_a_block_within_a_recording_is_refused():
    weight = tn.ones(3)

    @tn.compile
    def double(x):
        with tn.profile():
            return x * weight

    with pytest.raises(RuntimeError, match="around the compiled function"):
        double(tn.ones(3))
    assert recording.active is None
    with tn.profile() as profile, pytest.raises(RuntimeError, match="around the compiled"):
        double(tn.ones(3))
    assert counts(profile) == {"recording of double": 1}
    assert recording.active is None


def test_a_profile_measures_one_block():
    profile = tn.profile()
    assert (profile.rows, profile.seconds, profile.rest) == ([], 0.0, 0.0)
    with profile:
        pass
    with pytest.raises(RuntimeError, match="make another"), profile:
        pass
    assert recording.active is None


def test_while_it_lasts_it_tells_what_was_seen_so_far():
    with tn.profile() as profile:
        tn.exp(tn.ones(3))
        first = profile.seconds
        assert counts(profile) == {"exp": 1}
        tn.exp(tn.ones(3))
    assert counts(profile) == {"exp": 2}
    assert 0 < first < profile.seconds


# ---- the table


@pytest.mark.parametrize("compiled", [False, True])
def test_the_table_has_a_line_for_each_row_and_one_for_the_rest(compiled):
    step = training(compiled=compiled)
    step()
    with tn.profile() as profile:
        for _ in range(2000 if compiled else 20):
            step()
    lines = profile.table().splitlines()
    assert max(map(len, lines)) <= 100
    assert len(lines) == len(profile.rows) + 3
    assert ("call" in lines[0].split()) == compiled
    times = [float(re.findall(r"\d+\.\d{3}", line)[0]) for line in lines[1:]]
    assert times[:-2] == sorted(times[:-2], reverse=True)
    assert sum(times[:-1]) == pytest.approx(times[-1], abs=0.01)
    assert times[-1] == pytest.approx(1000 * profile.seconds, abs=0.001)
    assert lines[-2].startswith("Python, tape and the rest")
    assert lines[-1].startswith("all")
    shares = [float(share) for line in lines[1:-1] for share in re.findall(r"([\d.]+)%", line)]
    assert sum(shares) == pytest.approx(100, abs=0.05 * len(shares))
    if compiled:
        assert re.search(r"SGD.step +descend +2,000 ", profile.table())


def test_a_block_without_operations_has_a_table():
    with tn.profile() as profile:
        pass
    assert len(profile.table().splitlines()) == 3
    assert len(tn.profile().table().splitlines()) == 3

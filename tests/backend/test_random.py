"""The seed and what follows from it."""

import json

import numpy as np
import pytest

from tinynn.backend.random import (
    get_rng_state,
    host_generator,
    initial_seed,
    manual_seed,
    next_stream,
    set_rng_state,
)


def draw():
    return host_generator().standard_normal(3).tolist(), next_stream()


def test_a_seed_decides_everything():
    manual_seed(5)
    first = draw(), draw()
    assert initial_seed() == 5
    manual_seed(5)
    assert (draw(), draw()) == first
    manual_seed(6)
    assert draw()[0] != first[0][0]


def test_the_generator_is_numpys_of_that_seed():
    manual_seed(2**64 - 1)
    expected = np.random.default_rng(2**64 - 1).random(4)
    np.testing.assert_array_equal(host_generator().random(4), expected)


def test_streams_are_counted_from_0():
    manual_seed(0)
    assert [next_stream() for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("drawn", [0, 1, 7])
def test_state_goes_through_json(drawn):
    manual_seed(2**63 + 1)
    for _ in range(drawn):
        draw()
    state = json.loads(json.dumps(get_rng_state()))
    expected = draw(), draw()
    manual_seed(9)
    set_rng_state(state)
    assert (draw(), draw()) == expected
    assert initial_seed() == 2**63 + 1


def test_a_state_is_not_changed_by_drawing_later():
    manual_seed(1)
    draw()
    state = get_rng_state()
    expected = draw()
    set_rng_state(state)
    assert draw() == expected
    set_rng_state(state)
    assert draw() == expected


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range(seed):
    with pytest.raises(ValueError, match=rf"manual_seed: got {seed}, expected 0 to 2\*\*64 - 1"):
        manual_seed(seed)


def test_a_seed_that_is_no_integer():
    with pytest.raises(TypeError):
        manual_seed(1.5)


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state.pop("seed"),
        lambda state: state.update(seed=-1),
        lambda state: state.update(streams="3"),
        lambda state: state.update(generator={}),
        lambda state: state["generator"].update(bit_generator="MT19937"),
        lambda state: state["generator"]["state"].update(state="x"),
        lambda state: state["generator"]["state"].update(state=2**200),
    ],
)
def test_a_damaged_state_is_refused_and_changes_nothing(damage):
    manual_seed(3)
    draw()
    good = get_rng_state()
    bad = json.loads(json.dumps(good))
    damage(bad)
    with pytest.raises(ValueError, match="set_rng_state: not a random state"):
        set_rng_state(bad)
    assert get_rng_state() == good


@pytest.mark.parametrize("state", [None, [], "state", 3])
def test_what_is_no_state_at_all(state):
    with pytest.raises(ValueError, match="set_rng_state: not a random state"):
        set_rng_state(state)

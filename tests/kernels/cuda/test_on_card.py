"""Tests that run on a card run as well on copies in NumPy's memory."""

import numpy as np

from tests.kernels.cuda.on_card import Copies, on_card
from tinynn.backend.devices import NUMPY


def shift(x, *, by, out=None):
    """In place of a launcher: it writes beyond its argument where it should not."""
    out = np.empty_like(x) if out is None else out
    out[...] = x + by
    if by == 99:
        out.base[0] = 7
    return out, None


def test_arguments_are_copied_and_results_come_back():
    x = np.arange(6.0).reshape(2, 3)
    out, nothing = on_card(shift, NUMPY)(x[:, ::2], by=1)
    np.testing.assert_array_equal(out, [[1, 3], [4, 6]])
    assert nothing is None
    np.testing.assert_array_equal(x, np.arange(6.0).reshape(2, 3))


def test_what_is_written_comes_back_with_what_lies_around_it():
    memory = np.zeros(10, np.float32)
    part = memory[3:6]
    out, _ = on_card(shift, NUMPY)(part, by=5, out=part)
    np.testing.assert_array_equal(memory, [0, 0, 0, 5, 5, 5, 0, 0, 0, 0])
    assert not np.shares_memory(out, memory)


def test_a_write_beyond_an_array_comes_back():
    memory = np.zeros(16, np.uint8)
    part = memory[4:8]
    on_card(shift, NUMPY)(part, by=99, out=part)
    assert memory[0] == 7


def test_arrays_keep_their_places():
    memory = np.zeros(100, np.uint8)
    odd = memory[6:26].view(np.uint16)
    copies = Copies(NUMPY)
    there = copies.there(odd)
    again = copies.there(memory)
    start = again.__array_interface__["data"][0]
    assert there.__array_interface__["data"][0] == start + 6
    assert start != memory.__array_interface__["data"][0]


def test_read_only_and_empty_arrays():
    x = np.broadcast_to(np.float32(2), (3,))
    np.testing.assert_array_equal(on_card(shift, NUMPY)(x, by=1)[0], [3, 3, 3])
    assert on_card(shift, NUMPY)(np.zeros((0, 3)), by=1)[0].shape == (0, 3)

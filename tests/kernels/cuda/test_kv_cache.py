"""Appending to a cache: the kernel against the reference."""

import numpy as np
import pytest

from tests.cuda_on_cpu.faults import Fault
from tests.kernels.cuda.comparison import (
    assert_cuda_agrees,
    dtype_of,
    launcher_of,
    numbers,
)
from tests.kernels.cuda.on_card import asked_for
from tests.kernels.cuda.test_rotary import angles

pytestmark = pytest.mark.usefixtures("cuda_on_cpu")

STORED = ("float32", "float16", "bfloat16", "int8")


def arrays(stored, given="float32", tokens=9, heads=3, width=40, half=None, size=16):
    """Arguments of append_kv; two tokens are not stored, and the cache is full of other numbers."""
    slots = np.random.default_rng(0).permutation(4 * size)[:tokens].astype(np.int64)
    slots[2:6:3] = -1
    cache = [np.full((4, heads, size, width), fill).astype(dtype_of(stored)) for fill in (7, 9)]
    scales = [None, None]
    if stored == "int8":
        scales = [np.full((4, heads, size), fill, np.float32) for fill in (0.5, 0.25)]
    tables = (None, None) if half is None else angles((tokens, half))
    key, value = (numbers(tokens, heads, width, dtype=given, seed=seed) for seed in (0, 1))
    return [key, value, slots, *tables, *cache, *scales]


def reduced():
    given = arrays("int8")
    given[3:5] = np.zeros((9, 8), np.float32), np.ones((9, 8), np.float32)  # quarter turns
    assert_cuda_agrees("append_kv", *given, exact=True, interleaved=True)


FAULTS = [
    Fault("values are turned too", "is_key && cos ?", "cos ?", "results"),
    Fault(
        "the scale is of half of the lanes", "int bit = 16; bit;", "int bit = 8; bit;", "results"
    ),
    Fault(
        "the slot is that of the next token",
        "slots[token] & (",
        "(slots[token] + 1) & (",
        "results",
    ),
]


@pytest.mark.parametrize("given", STORED[:3])
@pytest.mark.parametrize("stored", STORED)
def test_without_a_turn_the_reference_stores_the_same_bits(stored, given):
    for width in (32, 40, 256):
        given_arrays = arrays(stored, given, width=width)
        assert_cuda_agrees("append_kv", *given_arrays, exact=True, interleaved=False)


@pytest.mark.parametrize("interleaved", [False, True], ids=["halves", "interleaved"])
@pytest.mark.parametrize("half", [4, 20])
@pytest.mark.parametrize("stored", STORED)
def test_keys_are_turned(stored, half, interleaved):
    given = arrays(stored, half=half)
    if stored != "int8":
        assert_cuda_agrees("append_kv", *given, interleaved=interleaved)
        return
    # What lies between two whole numbers may go to either; so the stored vectors are compared.
    found, expected = (arrays("int8", half=half) for _ in range(2))
    floats = arrays("float32", half=half)
    launcher_of("append_kv")(*found, interleaved=interleaved)
    launcher_of("append_kv")(*floats, interleaved=interleaved)
    written = floats[5] != expected[5].astype(np.float32)
    assert written.any()
    scales = found[7][..., None]
    off = np.abs(found[5] * scales - floats[5])[written.any(axis=-1)]
    assert (off <= 0.5001 * np.broadcast_to(scales, floats[5].shape)[written.any(axis=-1)]).all()
    np.testing.assert_array_equal(found[5][~written.any(axis=-1)], 7)


def test_zeros_and_the_largest_numbers_in_int8():
    given = arrays("int8", tokens=4, width=32)
    given[0][0] = 0
    given[0][3] = [3e38, -3e38, 1.5e38, 0] * 8
    assert_cuda_agrees("append_kv", *given, exact=True, interleaved=False)


@pytest.mark.skipif(asked_for(), reason="CuPy compiles with -ftz=true: such numbers are zero there")
def test_the_smallest_numbers_in_int8():
    given = arrays("int8", tokens=4, width=32)
    given[0][1, :, 3] = -1e-44
    given[0][1, 1] = 2e-43
    assert_cuda_agrees("append_kv", *given, exact=True, interleaved=False)


def test_infinity_and_nan_are_stored_as_they_are():
    for stored in STORED[:3]:
        given = arrays(stored, width=32)
        given[0][...] = [np.inf, -np.inf, np.nan, 1e38] * 8
        assert_cuda_agrees("append_kv", *given, interleaved=False)


def test_what_is_not_taken():
    append = launcher_of("append_kv")
    key, value, slots, cos, sin, keys, values, *scales = arrays("float32", half=4)
    for wrong in (
        (key.astype(np.float64), value.astype(np.float64), slots, cos, sin, keys, values, *scales),
        (key[:, ::-1], value, slots, cos, sin, keys, values, *scales),
        (key, value, slots, cos.astype(np.float64), sin, keys, values, *scales),
        (key, value, slots, cos, sin, keys[:, :, ::-1], values, *scales),
        (key, value, slots, cos, sin, keys.astype(np.int8), values.astype(np.int8), *scales),
        arrays("float32", width=272),
    ):
        assert append(*wrong, interleaved=False) is NotImplemented

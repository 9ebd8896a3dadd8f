"""Appending to a cache: the kernel against the reference, and both against plain loops."""

import itertools

import ml_dtypes
import numpy as np
import pytest

from tests.kernels.comparison import kernel_of
from tinynn.backend.kernel_table import reference_of

FIND = pytest.mark.parametrize("find", [kernel_of, reference_of], ids=["kernel", "reference"])
ORDERS = pytest.mark.parametrize("interleaved", [False, True], ids=["halves", "interleaved"])
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
STORED = [np.dtype(np.float32), np.dtype(np.float16), BFLOAT16, np.dtype(np.int8)]

# Half a unit in the last place, relative to the number.
ROUNDING = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}


def inputs(tokens=9, heads=3, width=40, dtype=np.float32):
    rng = np.random.default_rng(0)
    key, value = (rng.standard_normal((tokens, heads, width)).astype(dtype) for _ in range(2))
    slots = rng.permutation(4 * 16)[:tokens].astype(np.int64)
    return key, value, slots


def angles(tokens, half):
    turns = np.random.default_rng(1).uniform(-7, 7, (tokens, half))
    return np.cos(turns).astype(np.float32), np.sin(turns).astype(np.float32)


def cache(dtype, heads=3, width=40, blocks=4, size=16):
    """Keys, values and scales, full of numbers that must stay where nothing is appended."""
    floats = [np.full((blocks, heads, size, width), fill).astype(dtype) for fill in (7, 9)]
    if dtype != np.int8:
        return [*floats, None, None]
    return floats + [np.full((blocks, heads, size), fill, np.float32) for fill in (0.5, 0.25)]


def turned(key, cos, sin, interleaved):
    """Each pair of a key as a complex number, multiplied; in float64."""
    result = key.astype(np.float64)
    if cos is not None:
        half = cos.shape[1]
        pairs = [(2 * i, 2 * i + 1) if interleaved else (i, half + i) for i in range(half)]
        for token, (i, (first, second)) in itertools.product(range(len(key)), enumerate(pairs)):
            number = result[token, :, first] + 1j * result[token, :, second]
            number = number * complex(cos[token, i], sin[token, i])
            result[token, :, first], result[token, :, second] = number.real, number.imag
    return result


def assert_appended(given, slots, before, after, scales, old_scales):
    """Each token's vector is in its slot to rounding, and all else is as it was."""
    untouched = np.ones(before.shape[:3], bool)
    for token, slot in enumerate(slots):
        if slot < 0:
            continue
        block, offset = slot // 16, slot % 16
        untouched[block, :, offset] = False
        found = after[block, :, offset].astype(np.float64)
        if scales is None:
            bound = ROUNDING[after.dtype.name] * np.abs(given[token]) + 1e-6
        else:
            top = np.abs(given[token]).max(axis=-1, keepdims=True)
            scale = scales[block, :, offset][:, None]
            np.testing.assert_allclose(scale, top / 127, rtol=1e-5)
            assert np.abs(found).max() <= 127
            found, bound = found * scale, 0.5001 * scale + 1e-6 * top
        assert (np.abs(found - given[token]) <= bound).all()
    np.testing.assert_array_equal(after[untouched], before[untouched])
    if scales is not None:
        np.testing.assert_array_equal(scales[untouched], old_scales[untouched])


@FIND
@ORDERS
@pytest.mark.parametrize("half", [None, 4, 20])
@pytest.mark.parametrize("given", [np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("dtype", STORED, ids=str)
def test_vectors_are_turned_and_stored_in_their_slots(dtype, given, half, interleaved, find):
    key, value, slots = inputs(dtype=given)
    slots[[2, 5]] = -1
    cos, sin = (None, None) if half is None else angles(len(key), half)
    before, after = cache(dtype), cache(dtype)
    assert find("append_kv")(key, value, slots, cos, sin, *after, interleaved=interleaved) is None
    expected = turned(key, cos, sin, interleaved), value.astype(np.float64)
    for place, vectors in enumerate(expected):
        assert_appended(
            vectors, slots, before[place], after[place], after[2 + place], before[2 + place]
        )


@pytest.mark.parametrize("dtype", STORED, ids=str)
@pytest.mark.parametrize("shape", [(0, 2, 32), (1, 1, 32), (8, 8, 128), (40, 1, 80)], ids=str)
def test_without_a_turn_kernel_and_reference_store_the_same_bits(shape, dtype):
    tokens, heads, width = shape
    key, value, slots = inputs(tokens, heads, width)
    results = []
    for find in (kernel_of, reference_of):
        arrays = cache(dtype, heads, width)
        find("append_kv")(key, value, slots, None, None, *arrays, interleaved=False)
        results.append(arrays)
    for ours, theirs in zip(*results, strict=True):
        if ours is not None:
            np.testing.assert_array_equal(ours, theirs)


@FIND
def test_zeros_and_the_smallest_numbers_in_int8(find):
    rows = np.zeros((1, 4, 32), np.float32)
    rows[0, 1, 3] = -1e-44  # the scale is 0
    rows[0, 2, :2] = 2e-43, 1e-43  # the scale has one binary digit
    rows[0, 3, :3] = 3e38, -3e38, 1.5e38
    arrays = cache(np.dtype(np.int8), 4, 32)
    slots = np.array([18])
    find("append_kv")(rows, rows, slots, None, None, *arrays, interleaved=False)
    keys, scales = arrays[0][1, :, 2], arrays[2][1, :, 2]
    assert not keys[:2].any()
    assert not scales[:2].any()
    assert keys[2, 0] == 127
    np.testing.assert_array_equal(keys[3, :4], [127, -127, 64, 0])  # 63.5 goes to the even number


@FIND
def test_infinity_and_nan_are_stored_as_they_are(find):
    rows = np.array([np.inf, -np.inf, np.nan, 1e38] * 8, np.float32).reshape(1, 1, 32)
    for dtype in STORED[:3]:
        arrays = cache(dtype, 1, 32)
        with np.errstate(over="ignore"):
            find("append_kv")(rows, rows, np.array([0]), None, None, *arrays, interleaved=False)
            expected = rows[0, 0].astype(dtype)
        np.testing.assert_array_equal(
            arrays[0][0, 0, 0].astype(np.float32), expected.astype(np.float32)
        )


def test_what_the_kernel_leaves_to_the_reference():
    key, value, slots = inputs()
    append = kernel_of("append_kv")
    arrays = cache(np.dtype(np.float32))
    for wrong in (
        (key.astype(np.float64), value.astype(np.float64), slots, None, None, *arrays),
        (key[:, ::-1], value, slots, None, None, *arrays),
        (key, value, slots, *(t.astype(np.float64) for t in angles(9, 4)), *arrays),
        (key, value, slots, None, None, arrays[0][:, :, ::-1], *arrays[1:]),
        (key, value, slots, None, None, *(a.astype(np.float64) for a in arrays[:2]), None, None),
    ):
        assert append(*wrong, interleaved=False) is NotImplemented

"""The checks of a paged cache: a wrong field is named, and so is a wrong entry of a table."""

import numpy as np
import pytest

from tinynn.ops.paged import PagedKV, check_paged, check_tables, is_debugging


def paged(dtype="float32", blocks=4, lengths=(20, 3), tables=((0, 2), (3, -1))):
    shape = (blocks, 2, 16, 32)
    scales = np.zeros(shape[:3], np.float32) if dtype == "int8" else None
    return PagedKV(
        np.zeros(shape, dtype),
        np.zeros(shape, dtype),
        scales,
        None if scales is None else scales.copy(),
        np.array(tables, np.int32),
        np.array(lengths, np.int32),
    )


def starts(*counts):
    return np.cumsum([0, *counts]).astype(np.int32)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_a_proper_cache_passes(dtype):
    check_paged("attend", paged(dtype))
    check_tables("attend", paged(dtype), starts(1, 2), 3)


BAD_FIELDS = [
    ({"keys": np.zeros((4, 2, 16), np.float32)}, ValueError, r"keys.*\(4, 2, 16\)"),
    ({"keys": np.zeros((4, 2, 16, 32))}, TypeError, "keys must be .*float64"),
    ({"keys": np.zeros((4, 2, 24, 32), np.float32)}, ValueError, "block_size.*power of two.*24"),
    ({"keys": np.zeros((4, 2, 8, 32), np.float32)}, ValueError, "block_size.*16, got 8"),
    ({"keys": np.zeros((4, 2, 16, 40), np.float32)}, ValueError, "head_dim.*got 40"),
    ({"keys": np.zeros((4, 2, 16, 272), np.float32)}, ValueError, "head_dim.*got 272"),
    ({"values": np.zeros((4, 2, 16, 64), np.float32)}, ValueError, r"values.*\(4, 2, 16, 64\)"),
    ({"values": np.zeros((4, 2, 16, 32), np.float16)}, TypeError, "values must be float32"),
    (
        {"values": np.zeros((4, 2, 32, 16), np.float32).swapaxes(2, 3)},
        RuntimeError,
        "values must be contiguous",
    ),
    ({"key_scales": np.zeros((4, 2, 16), np.float32)}, TypeError, "key_scales are for int8"),
    ({"lengths": np.zeros(2, np.int64)}, TypeError, "lengths must be int32, got int64"),
    ({"lengths": np.zeros((2, 1), np.int32)}, ValueError, r"lengths.*\(2,\).*\(2, 1\)"),
    ({"block_tables": np.zeros((3, 2), np.int32)}, ValueError, r"block_tables.*\(2, 2\)"),
    ({"block_tables": np.zeros((2, 2), np.int64)}, TypeError, "block_tables must be int32"),
]


@pytest.mark.parametrize(("change", "error", "says"), BAD_FIELDS)
def test_a_wrong_field_is_named(change, error, says):
    with pytest.raises(error, match=f"^attend: .*{says}"):
        check_paged("attend", paged()._replace(**change))


def test_int8_needs_its_scales():
    with pytest.raises(TypeError, match="value_scales are missing"):
        check_paged("attend", paged("int8")._replace(value_scales=None))


BAD_TABLES = [
    ({"lengths": (33, 3)}, (1, 1), "sequence 0 has length 33, but its table holds 2 blocks"),
    ({"lengths": (20, -1)}, (1, 1), "sequence 1 has length -1"),
    (
        {"tables": ((0, 4), (3, -1))},
        (1, 1),
        "entry 1 .* sequence 0 is block 4, of blocks 0 to 3",
    ),
    ({"tables": ((0, -1), (3, -1))}, (1, 1), "entry 1 of the table of sequence 0 is block -1"),
    ({"tables": ((0, 2), (3, -2))}, (1, 1), "entry 1 of the table of sequence 1 is block -2"),
]


@pytest.mark.parametrize(("options", "counts", "says"), BAD_TABLES)
def test_a_wrong_entry_is_named(options, counts, says):
    with pytest.raises(IndexError, match=f"^attend: {says}"):
        check_tables("attend", paged(**options), starts(*counts), sum(counts))


@pytest.mark.parametrize("wrong", [(0, 1, 3), (1, 1, 2), (0, 3, 2), (0, 2)])
def test_starts_must_rise_to_the_tokens(wrong):
    with pytest.raises(IndexError, match=r"^attend: query_starts"):
        check_tables("attend", paged(), np.array(wrong, np.int32), 2)


def test_blocks_that_no_token_sees_may_be_missing():
    cache = paged(lengths=(33, 0), tables=((-1, 2, 1), (-1, -1, -1)))
    check_tables("attend", cache, starts(1, 0), 1, window=17)
    check_tables("attend", cache, starts(0, 0), 0)
    with pytest.raises(IndexError, match="entry 0"):
        check_tables("attend", cache, starts(1, 0), 1, window=18)
    with pytest.raises(IndexError, match="entry 0"):
        check_tables("attend", cache, starts(2, 0), 2, window=17)
    with pytest.raises(IndexError, match="entry 0"):
        check_tables("attend", cache, starts(1, 0), 1, window=1, sinks=1)


def test_the_environment_asks_for_debug_mode(monkeypatch):
    for value, expected in {"1": True, "0": False, "": False}.items():
        monkeypatch.setenv("TINYNN_DEBUG", value)
        assert is_debugging() is expected
    monkeypatch.delenv("TINYNN_DEBUG")
    assert not is_debugging()

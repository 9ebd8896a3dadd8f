"""Decode attention: the kernels against the reference, where NaN fills what they must not read."""

import numpy as np
import pytest

from tests.cuda_on_cpu import SCHEDULES, Guarded, scheduled
from tests.cuda_on_cpu.faults import Fault
from tests.kernels.cuda.comparison import assert_close, dtype_of, launcher_of
from tests.kernels.cuda.on_card import asked_for
from tests.kernels.cuda.paged import paged
from tinynn.backend.kernel_table import reference_of
from tinynn.kernels.cuda import compiler

pytestmark = pytest.mark.usefixtures("cuda_on_cpu")

QUERIES = ("float32", "float16", "bfloat16")
CACHES = ("float32", "float16", "bfloat16", "int8")
WINDOWS = [{}, {"window": 40, "sinks": 5}, {"window": 1}, {"window": 17, "sinks": 33}]


def precision(query, cache):
    """How many roundings of the result a result may be off.

    Weights of values are rounded as the values are, or, for queries of float32, to twice as many
    digits: these are 16 for bfloat16.
    """
    return 8.0 if (query, cache) == ("float32", "bfloat16") else 2.0


def decode(arrays, guarded=True, **attributes):
    guard = Guarded()
    if guarded:
        arrays = [None if array is None else guard.copy(array) for array in arrays]
    attributes.setdefault("scale", arrays[0].shape[-1] ** -0.5)
    result = launcher_of("decode_attention")(*arrays, **attributes)
    assert result is not NotImplemented
    guard.check()
    return result


def assert_agrees(arrays, factor=2.0, **attributes):
    attributes.setdefault("scale", arrays[0].shape[-1] ** -0.5)
    expected = reference_of("decode_attention")(*arrays, **attributes)
    actual = decode(arrays, **attributes)
    assert_close(actual[0], expected[0], factor)
    assert_close(actual[1], expected[1], factor)
    return actual


def reduced():
    """Both kernels, with keys that no token sees, and tables that end with the last block."""
    window = {"window": 40, "sinks": 5}
    for query, cache in (("float32", "float32"), ("float16", "int8")):
        arrays = paged([2, 1], [200, 33], query=query, cache=cache, spare=0, **window)
        for schedule in SCHEDULES:
            with scheduled(*schedule):
                assert_agrees(arrays, **window)
        arrays = paged([1], [160], query=query, cache=cache, spare=0)
        assert_agrees(arrays)


FAULTS = [
    Fault(
        "no wait for the copies of a stage",
        "wait_for_copies<STAGES - 2>();",
        "wait_for_copies<STAGES>();",
        "results",
    ),
    Fault(
        "lanes do not wait for each other's copies",
        "__syncwarp();  // all lanes have copied",
        "// all lanes have copied",
        "results",
    ),
    Fault("a token sees not itself", "return key <= position", "return key < position", "results"),
    Fault("the window is one longer", "(key > below ||", "(key >= below ||", "results"),
    Fault(
        "values that nobody sees are read",
        "copy_async_16(target + Shape::VALUES, values + from, unseen);",
        "copy_async_16(target + Shape::VALUES, values + from, false);",
        "results",
    ),
    Fault(
        "the entry behind the table is read",
        "if (ahead < strips.end) block = head.block_of(ahead);",
        "block = head.block_of(ahead);",
        "address",
    ),
    Fault(
        "sums are written while other warps read their rings",
        "__syncthreads();  // the sums go where the rings were",
        "// the sums go where the rings were",
        "results",
    ),
    Fault(
        "sums stay in the unit of a smaller scale",
        "shrink[0] *= unit * inverse;",
        "shrink[0] *= 1.f;",
        "results",
    ),
]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("query", QUERIES)
def test_agrees_with_the_reference(query, cache, window):
    for heads, kv_heads, head_dim, block_size in ((6, 2, 80, 16), (16, 1, 128, 64)):
        arrays = paged(
            [1, 3, 0, 1, 2, 5],
            [37, 150, 5, 1, 64, 33],
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            block_size=block_size,
            query=query,
            cache=cache,
            **window,
        )
        assert_agrees(arrays, precision(query, cache), **window)


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("head_dim", [32, 48, 64, 96, 160, 208, 256])
def test_heads_of_every_width(head_dim, cache):
    arrays = paged([2, 1], [35, 20], head_dim=head_dim, query="float16", cache=cache)
    assert_agrees(arrays)


@pytest.mark.parametrize("cache", ["float32", "float16", "int8"])
@pytest.mark.parametrize("group", [1, 2, 3, 5, 7, 8, 11, 16])
def test_groups_and_more_new_tokens_than_a_tile_holds(group, cache):
    arrays = paged([19, 1], [19, 30], heads=2 * group, kv_heads=2, query="float16", cache=cache)
    assert_agrees(arrays)


@pytest.mark.parametrize("cache", CACHES)
def test_keys_are_split_among_many_multiprocessors(cache, monkeypatch):
    monkeypatch.setattr(compiler, "current_device", lambda: (0, 132))
    for window in ({}, {"window": 700, "sinks": 20}):
        counts, lengths = [1, 2, 1, 1], [1300, 257, 1, 256]
        arrays = paged(counts, lengths, query="float16", cache=cache, **window)
        assert_agrees(arrays, **window)


@pytest.mark.parametrize("cache", CACHES)
def test_with_splits_of_a_given_size_the_batch_does_not_matter(cache, monkeypatch):
    counts, lengths = [1, 3, 1, 4], [200, 75, 64, 130]
    for options in ({}, {"window": 70, "sinks": 3}):
        arrays = paged(counts, lengths, query="float16", cache=cache, spare=3, **options)
        for split_size in (16, 50, 64, 1000):
            out, lse = assert_agrees(arrays, split_size=split_size, **options)
            for s, count in enumerate(counts):
                first, last = arrays.query_starts[s], arrays.query_starts[s + 1]
                alone = arrays._replace(
                    query=arrays.query[first:last],
                    query_starts=np.array([0, count], np.int32),
                    block_tables=arrays.block_tables[s : s + 1, : -(-lengths[s] // 16)],
                    lengths=arrays.lengths[s : s + 1],
                )
                alone = [None if a is None else np.ascontiguousarray(a) for a in alone]
                ours = decode(alone, split_size=split_size, **options)
                assert ours[0].tobytes() == out[first:last].tobytes()
                assert ours[1].tobytes() == lse[first:last].tobytes()


@pytest.mark.parametrize("cache", CACHES)
def test_any_order_of_the_threads_gives_the_same_bits(cache):
    arrays = paged([1, 2], [170, 40], heads=4, kv_heads=2, query="float16", cache=cache)
    results = []
    for schedule in SCHEDULES:
        with scheduled(*schedule):
            results.append([array.tobytes() for array in decode(arrays)])
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("query", QUERIES)
def test_extreme_scores(query, cache):
    """One key has nearly all the weight, at scores of several thousand."""
    for size in (1e-6, 3e3):
        arrays = paged([1, 2], [40, 70], query=query, cache=cache, size=size)
        assert_agrees(arrays, precision(query, cache) * 4, scale=1.0)


@pytest.mark.parametrize("cache", CACHES)
def test_queries_beyond_the_range_of_float16(cache):
    arrays = paged([1, 1], [40, 70], query="bfloat16", cache=cache, size=1e30)
    assert_agrees(arrays, scale=1e-30)
    arrays = paged([1, 1], [40, 70], query="float32", cache=cache, size=1e-30)
    assert_agrees(arrays, precision("float32", cache), scale=1e30)


def test_scales_of_any_size_in_one_cache():
    """Values of 1e-20 and of 1e20, as whole numbers: their weights must not vanish in float16."""
    arrays = paged([1, 1], [300, 40], query="float32", cache="int8")
    rng = np.random.default_rng(0)
    for exponents in (rng.uniform(-20, 20, 3000), np.linspace(-20, 20, 3000)):
        chosen = exponents[: arrays.value_scales.size].astype(np.float32)
        scales = 10 ** chosen.reshape(arrays.value_scales.shape)
        scales[np.isnan(arrays.value_scales)] = np.nan
        assert_agrees(arrays._replace(value_scales=scales.astype(np.float32)))
        small = (scales * 1e-20).astype(np.float32)
        assert_agrees(arrays._replace(value_scales=small))
    zeros = np.where(np.isnan(scales), np.nan, 0).astype(np.float32)
    out, _ = assert_agrees(arrays._replace(value_scales=zeros))
    assert not out.any()


@pytest.mark.parametrize("cache", CACHES)
def test_nan_in_a_query_stays_in_its_row(cache):
    arrays = paged([1, 2], [40, 70], heads=4, kv_heads=2, query="float32", cache=cache)
    clean, _ = decode(arrays)
    arrays.query[1, 2, 5] = np.nan
    out, lse = decode(arrays)
    bad = np.isnan(out)
    assert bad[1, 2].all()
    assert np.isnan(lse[1, 2])
    assert bad.sum() == bad[1, 2].size
    np.testing.assert_array_equal(out[~bad], clean[~bad])


def test_no_keys_and_no_tokens():
    for cache in CACHES:
        arrays = paged([1, 0, 2], [0, 0, 0], cache=cache)
        out, lse = decode(arrays)
        assert not out.any()
        assert np.isneginf(lse).all()
        out, lse = decode(paged([0, 0], [20, 0], cache=cache))
        assert (out.shape, lse.shape) == ((0, 2, 64), (0, 2))
        # Of the three new tokens two lie before the first key.
        arrays = paged([3], [1], cache=cache)
        out, lse = assert_agrees(arrays)
        assert np.isneginf(lse[:2]).all()


def test_writes_to_out():
    for query, cache in (("float32", "float32"), ("float16", "int8")):
        arrays = paged([2, 1], [70, 3], query=query, cache=cache)
        out = np.full(arrays.query.shape, 7, dtype_of(query))
        result, _ = decode(arrays, out=out)
        assert asked_for() or result is out  # what comes back from a card are copies
        np.testing.assert_array_equal(out, decode(arrays)[0])


def test_what_is_not_taken():
    arrays = paged([1], [5])
    launcher = launcher_of("decode_attention")
    wide = paged([1], [5], heads=17)
    unaligned = Guarded().copy(arrays.keys, misaligned=True)
    assert launcher(*arrays, scale=1.0) is not NotImplemented
    for changed in (
        wide,
        paged([1], [5], head_dim=40),
        paged([1], [5], head_dim=272),
        paged([1], [5], block_size=24),
        arrays._replace(query=arrays.query.astype(np.float64)),
        arrays._replace(query=arrays.query[..., ::-1]),
        arrays._replace(keys=arrays.keys.astype(np.float16)),
        arrays._replace(keys=unaligned),
        arrays._replace(lengths=arrays.lengths.astype(np.int64)),
        paged([1], [5], cache="int8")._replace(key_scales=None),
    ):
        assert launcher(*changed, scale=1.0) is NotImplemented

"""Attention to a cache against attention without one, and merging against attending at once."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinynn as tn
import tinynn.nn.functional as F
from tests.inference.dense import attend, rounding
from tinynn.ops.paged import PagedKV

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
# Of a result of size 1, by the dtype of the query; sums themselves are in float32.
TOLERANCE = {"float32": 2e-6, "float16": 1e-3, "bfloat16": 8e-3}


class Sequences:
    """Random sequences, and the cache that holds them in blocks in random order.

    Blocks of nobody, and places behind the end of a sequence, hold NaN, which must not be read.
    """

    def __init__(self, lengths, kv_heads=1, width=32, size=16, dtype="float32", seed=0):
        rng = np.random.default_rng(seed)
        dtype = BFLOAT16 if dtype == "bfloat16" else np.dtype(dtype)
        counts = [-(-length // size) for length in lengths]
        numbers = rng.permutation(sum(counts) + 2).astype(np.int32)
        tables = np.full((len(lengths), max([1, *counts])), -1, np.int32)
        shape = (len(numbers), kv_heads, size, width)
        if dtype == np.int8:
            arrays = [np.full(shape, 111, np.int8) for _ in range(2)]
            scales = [np.full(shape[:3], np.nan, np.float32) for _ in range(2)]
        else:
            arrays, scales = [np.full(shape, np.nan).astype(dtype) for _ in range(2)], [None, None]
        self.is_whole, self.dense = dtype == np.int8, []
        for s, (length, count) in enumerate(zip(lengths, counts, strict=True)):
            tables[s, :count], numbers = numbers[:count], numbers[count:]
            pair = [rng.standard_normal((length, kv_heads, width)).astype(dtype) for _ in range(2)]
            if dtype == np.int8:
                pair = [rng.integers(-127, 128, (length, kv_heads, width)) for _ in range(2)]
            for i, x in enumerate(pair):
                at = (tables[s, np.arange(length) // size], slice(None), np.arange(length) % size)
                arrays[i][at] = x
                if dtype == np.int8:
                    scales[i][at] = rng.uniform(0.005, 0.02, (length, kv_heads))
                    pair[i] = x * scales[i][at][..., None].astype(np.float64)
            self.dense.append(pair)
        self.cache = PagedKV(*arrays, *scales, tables, np.array(lengths, np.int32))

    def part(self, places):
        """The cache of some of the sequences only, in their blocks."""
        cache = self.cache
        tables, lengths = cache.block_tables[places], cache.lengths[places]
        return cache._replace(block_tables=tables, lengths=lengths)


def starts_of(counts):
    return np.cumsum([0, *counts]).astype(np.int32)


def queries(tokens, heads, width, dtype="float32", seed=1):
    numbers = np.random.default_rng(seed).standard_normal((tokens, heads, width))
    return numbers.astype(BFLOAT16 if dtype == "bfloat16" else dtype)


def check(sequences, counts, heads, dtype="float32", scale=None, window=None, **options):
    """decode_attention against dense attention, sequence by sequence."""
    _, _, _, width = sequences.cache.keys.shape
    starts, query = starts_of(counts), queries(sum(counts), heads, width, dtype)
    options |= {"scale": scale, "window": window}
    out, lse = F.decode_attention(tn.tensor(query), sequences.cache, tn.tensor(starts), **options)
    assert out.data.dtype == query.dtype
    assert lse.dtype == tn.float32
    options.pop("split_size", None)
    for s, (keys, values) in enumerate(sequences.dense):
        part = slice(starts[s], starts[s + 1])
        expected, sums = attend(query[part], keys, values, len(keys) - counts[s], **options)
        # A share is as exact, relatively, as a score is absolutely: to its last place in float32.
        largest = np.abs(sums[np.isfinite(sums)]).max(initial=0)
        scores, results = 0.0, 0.0
        if sequences.is_whole:
            scores, results = rounding(query[part], keys, values, scale)
        tolerance = TOLERANCE[dtype] + 2.0**-23 * largest + results
        np.testing.assert_allclose(
            out.data[part].astype(float), expected, rtol=tolerance, atol=tolerance
        )
        np.testing.assert_allclose(lse.data[part], sums, rtol=3e-6, atol=3e-6 + scores)


@pytest.mark.parametrize("width", [32, 48, 64, 128, 256])
@pytest.mark.parametrize("group", [1, 2, 3, 5, 8, 16])
def test_groups_and_sizes_of_heads(group, width):
    check(Sequences([40, 17], kv_heads=2, width=width), [1, 3], 2 * group)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8"])
@pytest.mark.parametrize("query", TOLERANCE)
def test_dtypes_of_queries_and_of_caches(query, dtype):
    check(Sequences([70, 5], kv_heads=2, dtype=dtype, size=32), [1, 5], 4, query, window=30)


@given(data=st.data())
def test_any_batch(data):
    lengths = data.draw(st.lists(st.one_of(st.integers(0, 2), st.integers(0, 90)), max_size=4))
    counts = [data.draw(st.integers(0, min(length + 1, 20))) for length in lengths]
    check(
        Sequences(lengths, 2, size=data.draw(st.sampled_from([16, 32])), seed=len(lengths)),
        counts,
        2 * data.draw(st.integers(1, 4)),
        scale=data.draw(st.sampled_from([None, 1.0])),
        window=(window := data.draw(st.one_of(st.none(), st.integers(1, 50)))),
        sinks=0 if window is None else data.draw(st.integers(0, 40)),
        split_size=data.draw(st.sampled_from([None, 16, 17, 64])),
    )


def test_blocks_before_the_window_may_be_gone():
    sequences = Sequences([100])
    table = sequences.cache.block_tables
    for place in range(1, 4):
        sequences.cache.keys[table[0, place]] = np.nan
        table[0, place] = -1
    check(sequences, [4], 2, window=30, sinks=16)


def test_one_token_a_sequence_needs_no_starts():
    sequences, query = Sequences([3, 30]), tn.tensor(queries(2, 2, 32))
    for found, expected in zip(
        F.decode_attention(query, sequences.cache),
        F.decode_attention(query, sequences.cache, tn.tensor(starts_of([1, 1]))),
        strict=True,
    ):
        np.testing.assert_array_equal(found.data, expected.data)


def test_a_query_in_any_layout():
    sequences, query = Sequences([20, 30]), tn.tensor(queries(3, 2, 32))
    expected, _ = F.decode_attention(query[:2], sequences.cache)
    turned = query.permute(2, 1, 0).flip((0,)).flip((0,)).permute(2, 1, 0)[:2]
    found, _ = F.decode_attention(turned, sequences.cache)
    np.testing.assert_array_equal(found.data, expected.data)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_with_a_split_size_the_batch_does_not_matter(dtype):
    """To the bit: one sequence beside none, beside short ones and beside a longer one."""
    lengths = [700, 3, 150, 1500]
    sequences = Sequences(lengths, 2, dtype=dtype)
    query = queries(len(lengths), 6, 32)
    for places in ([0], [2, 0], [1, 0, 2], [3, 2, 1, 0]):
        out, lse = F.decode_attention(
            tn.tensor(query[places]), sequences.part(places), split_size=256
        )
        at = places.index(0)
        if len(places) == 1:
            alone = out.data[0], lse.data[0]
        np.testing.assert_array_equal(out.data[at], alone[0])
        np.testing.assert_array_equal(lse.data[at], alone[1])


def test_extreme_scores():
    """Scores of some hundreds, of both signs, neither overflow nor lose the smaller ones."""
    sequences = Sequences([50])
    check(sequences, [2], 2, scale=20.0)
    check(sequences, [2], 2, scale=-20.0)


def test_results_require_no_gradient():
    query = tn.tensor(queries(1, 2, 32), requires_grad=True)
    out, lse = F.decode_attention(query, Sequences([4]).cache)
    merged = F.merge_attention([(out.requires_grad_(), lse)])
    assert not any(part.requires_grad for part in (lse, *merged))


# ---- merging


@given(data=st.data())
def test_merging_any_partition_of_the_keys(data):
    """Keys are dealt to parts in any order; some parts get none, and hold anything."""
    count = data.draw(st.integers(1, 30), "keys")
    parts = data.draw(st.integers(1, 5), "parts")
    rng = np.random.default_rng(data.draw(st.integers(0, 99), "seed"))
    owner = rng.integers(0, parts, count)
    dtype = np.dtype(data.draw(st.sampled_from(["float32", "float64"]), "dtype"))
    keys, values = rng.standard_normal((2, count, 2, 32)) * data.draw(st.sampled_from([1, 20]))
    query = rng.standard_normal((1, 4, 32))
    pieces = []
    for part in range(parts):
        mine = owner == part
        out, lse = attend(query, keys[mine], values[mine], int(mine.sum()) - 1)
        out = out if mine.any() else np.full(out.shape, np.nan)
        pieces.append((tn.tensor(out.astype(dtype)), tn.tensor(lse.astype(dtype))))
    out, lse = F.merge_attention(pieces)
    expected, sums = attend(query, keys, values, count - 1)
    # lse in float32 is known to half a unit in its last place, and a share is as exact as exp(lse).
    unit = np.finfo(dtype).eps * max(np.abs(sums).max(), 1)
    np.testing.assert_allclose(lse.data, sums, rtol=0, atol=4 * unit)
    np.testing.assert_allclose(
        out.data, expected, rtol=0, atol=8 * unit * max(np.abs(values).max(), 1)
    )


def test_a_window_and_the_keys_before_it_are_parts():
    """What a token sees in a window, beside what it sees of the keys before, is all it sees."""
    sequences = Sequences([90], 2)
    keys, values = sequences.dense[0]
    query = queries(1, 4, 32)
    old = F.decode_attention(
        tn.tensor(query), sequences.cache._replace(lengths=np.array([60], np.int32))
    )
    new = F.decode_attention(tn.tensor(query), sequences.cache, window=30)
    out, lse = F.merge_attention([old, new])
    expected, sums = attend(query, keys, values, 89)
    np.testing.assert_allclose(out.data, expected, rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(lse.data, sums, rtol=2e-6)


def test_parts_on_two_devices():
    part = tn.ones(2, 4), tn.ones(2)
    other = tuple(tensor.to("fake") for tensor in part)
    with pytest.raises(RuntimeError, match="merge_attention: parts are on two devices, cpu and fa"):
        F.merge_attention([part, other])


# ---- appending


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_what_is_appended_is_attended_to(dtype):
    sequences = Sequences([21], 2, dtype=dtype)
    cache = sequences.cache
    token = tn.tensor(queries(1, 2, 32, seed=5)), tn.tensor(queries(1, 2, 32, seed=6))
    slot = int(cache.block_tables[0, 1]) * 16 + 4  # of position 20
    before = cache.keys.copy()
    assert F.append_kv(*token, tn.tensor([slot]), cache) is None
    keys, values = (np.array(x, np.float64) for x in sequences.dense[0])
    keys[20], values[20] = token[0].data[0], token[1].data[0]
    query = queries(1, 4, 32)
    out, _ = F.decode_attention(tn.tensor(query), cache)
    expected, _ = attend(query, keys, values, 20)
    np.testing.assert_allclose(out.data, expected, atol=0.02 if dtype == "int8" else 2e-6)
    changed = (cache.keys != before) & ~np.isnan(before.astype(np.float32))
    assert set(np.argwhere(changed)[:, 0]) == {cache.block_tables[0, 1]}
    assert set(np.argwhere(changed)[:, 2]) == {4}


@pytest.mark.parametrize("interleaved", [False, True])
def test_keys_are_turned_as_rope_turns_them(interleaved):
    key, value = (tn.tensor(queries(3, 2, 32, seed=seed)) for seed in (3, 4))
    cos, sin = tn.nn.RotaryEmbedding(16, interleaved=interleaved).tables([5, 0, 70])
    cache, slots = Sequences([40], 2).cache, [3, 18, 35]
    F.append_kv(key, value, tn.tensor(slots), cache, cos, sin, interleaved=interleaved)
    expected = F.rope(key, cos[:, None], sin[:, None], interleaved)
    for token, slot in enumerate(slots):
        np.testing.assert_allclose(
            cache.keys[slot // 16, :, slot % 16], expected.data[token], rtol=1e-6, atol=1e-6
        )
        np.testing.assert_array_equal(cache.values[slot // 16, :, slot % 16], value.data[token])


NEW = tn.ones(2, 1, 32)
BAD_APPENDS = [
    ({"key": tn.ones(2, 2, 32)}, ValueError, r"key must have the shape \(2, 1, 32\).*\(2, 2, 32\)"),
    ({"value": tn.ones(3, 1, 32)}, ValueError, r"value must have the shape .*\(3, 1, 32\)"),
    ({"value": NEW.to("float16")}, TypeError, "key is float32, but value is float16"),
    ({"key": NEW.to("float64")}, TypeError, "key must be float32, .*got float64"),
    ({"slots": tn.tensor([1.0, 2.0])}, TypeError, "slots must be .*got float32"),
    ({"slots": tn.tensor([[1, 2]])}, ValueError, r"slots must be .*\(1, 2\)"),
    ({"slots": [1, 2]}, TypeError, "slots must be a tensor, got list"),
    ({"cos": tn.ones(2, 4)}, TypeError, "sin must be a tensor, got NoneType"),
    ({"cos": tn.ones(2, 4), "sin": tn.ones(2, 3)}, ValueError, r"\(2, 4\) and \(2, 3\)"),
    ({"cos": tn.ones(2, 17), "sin": tn.ones(2, 17)}, ValueError, "R <= head_dim"),
    (
        {"cos": tn.ones(2, 4), "sin": tn.ones(2, 4, dtype="float64")},
        TypeError,
        "sin must be float32",
    ),
    ({"key": NEW.to("fake")}, RuntimeError, "keys are on cpu and key on fake"),
]


@pytest.mark.parametrize(("change", "error", "says"), BAD_APPENDS)
def test_a_wrong_append_is_named(change, error, says):
    cache = Sequences([20]).cache
    before = cache.keys.copy()
    arguments = {"key": NEW, "value": NEW, "slots": tn.tensor([1, 2]), "cache": cache}
    with pytest.raises(error, match=f"^append_kv: .*{says}"):
        F.append_kv(**arguments | change)
    np.testing.assert_array_equal(cache.keys, before)


# ---- what is looked at in debug mode


def test_tables_and_slots_are_looked_at_in_debug_mode(monkeypatch):
    monkeypatch.setenv("TINYNN_DEBUG", "1")
    sequences, query = Sequences([20, 3]), tn.tensor(queries(2, 2, 32))
    F.decode_attention(query, sequences.cache)
    wrong = sequences.cache._replace(lengths=np.array([20, 40], np.int32))
    with pytest.raises(IndexError, match=r"^decode_attention: sequence 1 has length 40"):
        F.decode_attention(query, wrong)
    sequences.cache.block_tables[0, 1] = 77
    with pytest.raises(IndexError, match=r"^decode_attention: entry 1 .* sequence 0 is block 77"):
        F.decode_attention(query, sequences.cache)
    slots = tn.tensor([0, 16 * len(sequences.cache.keys)])
    with pytest.raises(IndexError, match=r"^append_kv: the slot of token 1 is"):
        F.append_kv(NEW, NEW, slots, sequences.cache)


def test_a_query_on_another_device():
    cache = Sequences([4]).cache
    with pytest.raises(RuntimeError, match="keys are on cpu and query on fake"):
        F.decode_attention(tn.ones(1, 2, 32).to("fake"), cache)


def test_merging_and_appending_in_a_compiled_step():
    """A replay appends to the same cache again, at the slots that it is given."""
    cache = Sequences([40]).cache

    @tn.compile
    def step(token, slots, out, lse):
        F.append_kv(token, token * 2, slots, cache)
        return F.merge_attention([(out, lse), (out * 2, lse)])

    for slot in (1, 7, 20):
        token = tn.tensor(queries(1, 1, 32, seed=slot))
        out, lse = step(token, tn.tensor([slot]), tn.ones(2, 3) * slot, tn.zeros(2))
        np.testing.assert_allclose(out.data, np.full((2, 3), 1.5 * slot), rtol=1e-6)
        np.testing.assert_allclose(lse.data, np.log([2, 2]), rtol=1e-6)
        np.testing.assert_array_equal(cache.keys[slot // 16, :, slot % 16], token.data[0])
        np.testing.assert_array_equal(cache.values[slot // 16, :, slot % 16], 2 * token.data[0])

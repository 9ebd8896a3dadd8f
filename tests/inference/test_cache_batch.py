"""A step through the cache against attention to all that was appended, in one go."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinynn as tn
from tests.inference.dense import attend, rounding
from tinynn.inference import CacheExhausted, KVCache
from tinynn.nn.attention import AttentionCache

# Of results of size 1: float32 sums; else what storing a number loses.
TOLERANCE = {"float32": 2e-6, "float16": 2e-3, "bfloat16": 2e-2, "int8": 2e-2}


def cache_of(**options):
    return KVCache(**{"layers": 2, "kv_heads": 2, "head_dim": 32, "capacity": 256} | options)


def tokens(count, heads=4, seed=0, width=32, dtype="float32"):
    """(query, key, value) of some tokens."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((count, number, width)).astype(dtype) for number in (heads, 2, 2)]


def part(arrays, first, last):
    return [array[first:last] for array in arrays]


def test_it_is_what_attention_layers_ask_for():
    batch: AttentionCache = cache_of().batch([], [])
    assert batch.update_and_attend(0, *tokens(0)).shape == (0, 4, 32)
    cache = cache_of()
    layer = tn.nn.MultiheadAttention(64, 2, num_kv_heads=2)
    with tn.no_grad():
        x = tn.randn(5, 64)
        expected, _ = layer(x, x, x, is_causal=True, attn_mask=tn.ones(5, 5).triu(1) > 0)
        found, _ = layer(x, x, x, cache=cache.batch([cache.start()], [5]), layer=1)
    np.testing.assert_allclose(found.data, expected.data, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_all_dtypes_of_a_cache(dtype):
    cache = cache_of(dtype=dtype)
    sequence, arrays = cache.start(), tokens(40)
    batch = cache.batch([sequence], [40])
    for layer in range(2):
        out = batch.update_and_attend(layer, *arrays)
        expected, _ = attend(*arrays, 0)
        np.testing.assert_allclose(out, expected, rtol=0, atol=TOLERANCE[dtype])
    for found, given_ in zip(cache.contents(sequence, 1), arrays[1:], strict=True):
        np.testing.assert_allclose(found, given_, rtol=0, atol=TOLERANCE[dtype])


@given(
    counts=st.lists(st.integers(0, 25), min_size=1, max_size=5),
    dtype=st.sampled_from(["float32", "int8"]),
    window=st.sampled_from([(None, 0), (7, 0), (20, 18)]),
)
def test_a_prompt_in_chunks_is_the_prompt(counts, dtype, window):
    """Token by token, in chunks, or at once: the same attention, also in a window."""
    total, (window, sinks) = sum(counts), window
    arrays, results = tokens(total), []
    for pieces in (counts, [total], [1] * total):
        cache = cache_of(dtype=dtype, window=window, sinks=sinks)
        sequence, first, outs = cache.start(), 0, [np.zeros((0, 4, 32))]
        for piece in pieces:
            batch = cache.batch([sequence], [piece])
            outs.append(batch.update_and_attend(1, *part(arrays, first, first + piece)))
            first += piece
        results.append(np.concatenate(outs))
    expected, _ = attend(*arrays, 0, window, sinks)
    np.testing.assert_allclose(results[0], expected, rtol=0, atol=TOLERANCE[dtype])
    # Chunks of other keys have other largest shares, by which a cache of int8 rounds them.
    atol = 2e-6 + (2 * rounding(*arrays)[1] if dtype == "int8" else 0)
    for other in results[1:]:
        np.testing.assert_allclose(results[0], other, rtol=0, atol=atol)


def test_ragged_batches():
    """Some sequences take part in a step and some do not, in any order."""
    cache = cache_of()
    sequences = [cache.start() for _ in range(3)]
    whole = [tokens(60, seed=seed) for seed in range(3)]
    lengths = [0, 0, 0]
    for step in ([(2, 17), (0, 3)], [(1, 1), (2, 1), (0, 30)], [(0, 0), (2, 5), (1, 16)]):
        packed = [
            np.concatenate([whole[s][i][lengths[s] : lengths[s] + n] for s, n in step])
            for i in range(3)
        ]
        batch = cache.batch([sequences[s] for s, _ in step], [n for _, n in step])
        assert batch.tokens == sum(n for _, n in step)
        out, first = batch.update_and_attend(0, *packed), 0
        for s, n in step:
            query, keys, values = whole[s]
            end = lengths[s] + n
            expected, _ = attend(query[lengths[s] : end], keys[:end], values[:end], lengths[s])
            np.testing.assert_allclose(out[first : first + n], expected, rtol=2e-6, atol=2e-6)
            first, lengths[s] = first + n, end


def test_rejected_drafts_leave_no_trace():
    """Four drafts, two of them taken back, and on: as if there had been two."""
    arrays, drafts = tokens(30), tokens(4, seed=9)
    plain, drafted = cache_of(), cache_of()
    outs = []
    for cache in (plain, drafted):
        sequence = cache.start()
        cache.batch([sequence], [20]).update_and_attend(0, *part(arrays, 0, 20))
        if cache is drafted:
            cache.batch([sequence], [4]).update_and_attend(0, *drafts)
            cache.truncate(sequence, 20)
        outs.append(cache.batch([sequence], [10]).update_and_attend(0, *part(arrays, 20, 30)))
    np.testing.assert_array_equal(*outs)


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotary_turns_by_positions(interleaved):
    """Each sequence has positions of its own; the layer's tables are found once."""
    rotary = tn.nn.RotaryEmbedding(32, rotary_dim=24, interleaved=interleaved)
    cache = cache_of()
    sequences, arrays = [cache.start(), cache.start()], tokens(12)
    cache.batch(sequences[:1], [5]).update_and_attend(0, *part(arrays, 0, 5), rotary=rotary)
    batch = cache.batch(sequences, [3, 4])
    assert batch.positions.tolist() == [5, 6, 7, 0, 1, 2, 3]
    out = batch.update_and_attend(0, *part(arrays, 5, 12), rotary=rotary)
    for first, last, result in ((0, 8, out[:3]), (8, 12, out[3:])):
        query, keys, values = part(arrays, first, last)
        places = np.arange(last - first)
        query, keys = (
            rotary(tn.tensor(x.swapaxes(0, 1)), places).data.swapaxes(0, 1) for x in (query, keys)
        )
        expected, _ = attend(query, keys, values, 0)
        np.testing.assert_allclose(result, expected[-len(result) :], rtol=3e-6, atol=3e-6)


def test_a_layer_may_have_a_window_of_its_own():
    cache, arrays = cache_of(window=40, sinks=4), tokens(60)
    batch = cache.batch([cache.start()], [60])
    for options in ({}, {"window": 10}, {"window": 40, "sinks": 4}, {"window": 3, "sinks": 2}):
        out = batch.update_and_attend(0, *arrays, **options)
        window, sinks = options.get("window", 40), options.get("sinks", 0 if options else 4)
        expected, _ = attend(*arrays, 0, window, sinks)
        np.testing.assert_allclose(out, expected, rtol=2e-6, atol=2e-6)
    for options in ({"window": 41}, {"window": 10, "sinks": 5}):
        with pytest.raises(ValueError, match="sees more than the cache keeps, a window of 40 with"):
            batch.update_and_attend(0, *arrays, **options)


def test_scale_and_pieces():
    cache, arrays = cache_of(), tokens(50)
    batch = cache.batch([cache.start()], [50])
    out = batch.update_and_attend(0, *arrays, scale=0.5, split_size=16)
    expected, _ = attend(*arrays, 0, scale=0.5)
    np.testing.assert_allclose(out, expected, rtol=4e-6, atol=4e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_in_and_out(dtype):
    cache = cache_of(dtype=dtype)
    arrays = [tn.tensor(x, dtype=dtype) for x in tokens(20)]
    out = cache.batch([cache.start()], [20]).update_and_attend(0, *arrays)
    assert out.dtype == arrays[0].dtype
    expected, _ = attend(*(x.data.astype(np.float64) for x in arrays), 0)
    np.testing.assert_allclose(out.data.astype(float), expected, atol=TOLERANCE[dtype])


def test_the_fake_of_cupy_has_a_cache_as_well():
    arrays = [tn.tensor(x) for x in tokens(20)]
    cache = cache_of(device="fake", dtype="int8")
    rotary = tn.nn.RotaryEmbedding(32)
    there = [x.to("fake") for x in arrays]
    found = cache.batch([cache.start()], [20]).update_and_attend(0, *there, rotary=rotary)
    here = cache_of(dtype="int8")
    expected = here.batch([here.start()], [20]).update_and_attend(0, *arrays, rotary=rotary)
    np.testing.assert_allclose(found.to("cpu").data, expected.data, rtol=1e-5, atol=1e-2)
    fork = cache.fork(0)
    cache.batch([fork], [1]).update_and_attend(0, *(x[:1] for x in there))
    with pytest.raises(RuntimeError, match=r"^KVCache: keys are on fake.* and query on cpu"):
        cache.batch([0], [20]).update_and_attend(0, *arrays)


def back_and_forth(cache, sequence):
    cache.truncate(sequence, 3)
    cache.batch([sequence], [2])


CHANGES = {
    "truncated": (lambda cache, s: cache.truncate(s, 4), "since then .* it has 4"),
    "freed": (lambda cache, s: cache.free(s), "since then it was freed"),
    "in another batch": (lambda cache, s: cache.batch([s], [1]), "since then .* it has 6"),
    "as long as it was": (back_and_forth, "since then .* it has 5"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_batch_of_a_sequence_that_changed_is_refused(change):
    cache, arrays = cache_of(), tokens(8)
    sequences = [cache.start(), cache.start()]
    batch = cache.batch(sequences, [3, 5])
    batch.update_and_attend(0, *arrays)
    act, says = CHANGES[change]
    act(cache, sequences[1])
    before = cache.keys.copy()
    says = f"^KVCache: this batch was made for sequence 1 of 5 positions, {says}"
    for layer in range(2):
        with pytest.raises(RuntimeError, match=says):
            batch.update_and_attend(layer, *arrays)
    with pytest.raises(RuntimeError, match=says):
        batch.paged(0)
    np.testing.assert_array_equal(cache.keys, before)


def test_what_happens_to_other_sequences_is_nothing_to_a_batch():
    cache, arrays = cache_of(), tokens(5)
    first, second, third = (cache.start() for _ in range(3))
    cache.batch([second, third], [20, 20])
    batch = cache.batch([first], [5])
    batch.update_and_attend(0, *arrays)
    cache.truncate(second, 4)
    cache.free(third)
    cache.batch([second, cache.fork(first)], [30, 1])
    with pytest.raises(CacheExhausted):
        cache.batch([first], [1000])
    out = batch.update_and_attend(1, *arrays)
    np.testing.assert_allclose(out, attend(*arrays, 0)[0], rtol=2e-6, atol=2e-6)


def test_a_replay_with_a_batch_of_a_sequence_that_changed_is_refused():
    cache = cache_of()
    sequence = cache.start()
    batch = cache.batch([sequence], [3])
    slots = tn.tensor(batch.slots)

    @tn.compile
    def write(key):
        tn.nn.functional.append_kv(key, key, slots, batch.paged(0))
        return key * 2

    for size in (1, 2):
        write(tn.full((3, 2, 32), float(size)))
    np.testing.assert_array_equal(cache.contents(sequence, 0)[0], np.full((3, 2, 32), 2.0))
    cache.truncate(sequence, 2)
    with pytest.raises(RuntimeError, match=r"sequence 0 of 3 positions, since then .* it has 2"):
        write(tn.full((3, 2, 32), 3.0))
    np.testing.assert_array_equal(cache.contents(sequence, 0)[0], np.full((2, 2, 32), 2.0))


Q, K, V = tokens(3)
REFUSED = [
    ((Q[:2], K, V), {}, ValueError, "query has 2 tokens, the batch has 3 new ones"),
    ((Q[:, :3], K, V), {}, ValueError, "query must have 1 to 16 heads .* 2 heads .* has 3"),
    ((Q[..., :16], K, V), {}, ValueError, r"query must be \[tokens, heads, 32\]"),
    ((Q, K[:2], V), {}, ValueError, r"key must have the shape \(3, 2, 32\)"),
    ((Q, K, V[:, :1]), {}, ValueError, r"value must have the shape \(3, 2, 32\)"),
    ((Q, K.astype("float16"), V), {}, TypeError, "key is float16, but value is float32"),
    ((Q.astype("float16"), K, V), {}, TypeError, "query is float16, but key and value are float32"),
    ((Q.astype("float64"), K, V), {}, TypeError, "query must be float32, .* got float64"),
    ((Q, K, V), {"window": 0}, ValueError, "window must be at least 1"),
    ((Q, K, V), {"sinks": 4}, ValueError, "sinks go with a window"),
    ((Q, K, V), {"rotary": tn.nn.RotaryEmbedding(48)}, ValueError, "turns vectors of 48"),
    ((tn.tensor(Q, requires_grad=True), K, V), {}, RuntimeError, "query requires one"),
]


@pytest.mark.parametrize(("arrays", "options", "error", "says"), REFUSED)
def test_what_does_not_fit_is_refused_before_anything_is_written(arrays, options, error, says):
    cache = cache_of()
    batch = cache.batch([cache.start()], [3])
    with pytest.raises(error, match=f"^KVCache: .*{says}"):
        batch.update_and_attend(0, *arrays, **options)
    assert not cache.keys.any()


def test_a_position_beyond_the_tables_of_rotary():
    cache = cache_of()
    batch = cache.batch([cache.start()], [20])
    with pytest.raises(IndexError, match="position 19 is not one of 0 to"):
        batch.update_and_attend(0, *tokens(20), rotary=tn.nn.RotaryEmbedding(32, max_positions=19))
    assert not cache.keys.any()


@pytest.mark.parametrize("layer", [-1, 2])
def test_a_layer_that_is_not_there(layer):
    cache = cache_of()
    with pytest.raises(IndexError, match=f"^KVCache: layer {layer} is not one of 0 to 1"):
        cache.batch([cache.start()], [3]).update_and_attend(layer, Q, K, V)


def test_debug_mode_looks_at_tables(monkeypatch):
    cache = cache_of()
    sequence = cache.start()
    batch = cache.batch([sequence], [3])
    batch.block_tables[0, 0] = 99
    monkeypatch.setenv("TINYNN_DEBUG", "1")
    with pytest.raises(IndexError, match=r"decode_attention: entry 0 .* is block 99"):
        batch.update_and_attend(0, Q, K, V)
    batch = cache.batch([sequence], [3])
    batch.slots[1] = 16 * 16
    with pytest.raises(IndexError, match="the slot of token 1 is 256, of slots 0 to 255"):
        batch.update_and_attend(0, Q, K, V)
    cache.batch([sequence], [3]).update_and_attend(0, Q, K, V)

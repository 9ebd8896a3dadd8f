"""KVCache: sequences, forks, windows, what is refused, and what too few blocks leave behind."""

import numpy as np
import pytest

from tinynn.inference import CacheExhausted, KVCache

OPTIONS = {"layers": 2, "kv_heads": 1, "head_dim": 32, "capacity": 64}


def cache_of(**options):
    return KVCache(**OPTIONS | options)


def append(cache, sequences, counts, seed=0):
    """Appends random vectors to each layer, and returns the values of the last one."""
    batch = cache.batch(sequences, counts)
    rng = np.random.default_rng(seed)
    for layer in range(cache.layers):
        q, k, v = rng.standard_normal((3, sum(counts), cache.kv_heads, cache.head_dim))
        batch.update_and_attend(layer, *(x.astype(np.float32) for x in (q, k, v)))
    return v.astype(np.float32)


@pytest.mark.parametrize(("capacity", "blocks"), [(1, 1), (16, 1), (17, 2), (64, 4)])
def test_capacity_is_rounded_up_to_blocks(capacity, blocks):
    cache = cache_of(capacity=capacity)
    assert cache.pool.capacity == blocks
    assert cache.keys.shape == cache.values.shape == (2, blocks, 1, 16, 32)


@pytest.mark.parametrize(
    ("dtype", "bytes_a_vector"), [("float32", 128), ("float16", 64), ("bfloat16", 64), ("int8", 36)]
)
def test_bytes(dtype, bytes_a_vector):
    assert cache_of(dtype=dtype).nbytes == 2 * 2 * 64 * bytes_a_vector


def test_sequences_come_and_go():
    cache = cache_of()
    first, second = cache.start(), cache.start()
    values = append(cache, [second, first], [18, 3])
    assert cache.sequences == (first, second)
    assert (cache.length(first), cache.length(second)) == (3, 18)
    assert cache.pool.free == 1
    np.testing.assert_array_equal(cache.contents(second, 1)[1], values[:18])
    np.testing.assert_array_equal(cache.contents(first, 1)[1], values[18:])
    cache.free(second)
    assert cache.pool.free == 3
    with pytest.raises(KeyError, match=r"there is no sequence 1; start\(\) gives a new one"):
        cache.length(second)
    assert cache.start() == 2  # a number is never used again


def test_a_fork_shares_until_it_writes():
    cache = cache_of()
    parent = cache.start()
    values = append(cache, [parent], [20])
    child = cache.fork(parent)
    assert cache.pool.free == 2
    more = append(cache, [child], [1], seed=1)
    assert cache.pool.free == 1  # the second block was copied, the first is shared
    tables = [cache.table(sequence).entries for sequence in (parent, child)]
    assert tables[0][0] == tables[1][0]
    assert tables[0][1] != tables[1][1]
    np.testing.assert_array_equal(cache.contents(parent, 1)[1], values)
    np.testing.assert_array_equal(cache.contents(child, 1)[1], np.concatenate([values, more]))
    cache.free(parent)
    np.testing.assert_array_equal(cache.contents(child, 1)[1], np.concatenate([values, more]))


def test_drafts_are_taken_back():
    cache = cache_of()
    sequence = cache.start()
    values = append(cache, [sequence], [15])
    append(cache, [sequence], [5], seed=1)
    cache.truncate(sequence, 16)
    assert cache.pool.free == 3
    cache.truncate(sequence, 15)
    more = append(cache, [sequence], [2], seed=2)
    np.testing.assert_array_equal(cache.contents(sequence, 1)[1], np.concatenate([values, more]))


def test_a_window_runs_on_in_a_few_blocks():
    """A thousand positions in four blocks; what has left the window is NaN to who looks."""
    cache = cache_of(window=20, sinks=2)
    sequence = cache.start()
    values = [append(cache, [sequence], [10], seed=seed) for seed in range(100)]
    assert cache.length(sequence) == 1000
    found = cache.contents(sequence, 1)[1]
    np.testing.assert_array_equal(found[:2], values[0][:2])
    np.testing.assert_array_equal(found[-20:], np.concatenate(values[-2:]))
    assert np.isnan(found[16:960]).all()
    cache.free(sequence)
    assert cache.pool.free == 4


def test_too_few_blocks_change_nothing():
    cache = cache_of()
    first, second = cache.start(), cache.start()
    append(cache, [first, second], [20, 3])
    entries = list(cache.table(first).entries)
    says = "62 new tokens of 2 sequences ask for 4 blocks of 16, 1 of 4 are free; free a sequence"
    with pytest.raises(CacheExhausted, match=says) as caught:
        cache.batch([first, second], [30, 32])
    assert (caught.value.asked, caught.value.free) == (4, 1)
    assert (cache.length(first), cache.length(second)) == (20, 3)
    assert list(cache.table(first).entries) == entries
    cache.free(second)
    append(cache, [first], [44])
    assert cache.pool.free == 0


def test_a_block_that_must_be_copied_counts():
    cache = cache_of(capacity=32)
    parent = cache.start()
    append(cache, [parent], [20])
    child = cache.fork(parent)
    with pytest.raises(CacheExhausted, match="1 new tokens of 1 sequences ask for 1 blocks"):
        cache.batch([child], [1])
    cache.free(parent)
    append(cache, [child], [1])


def test_the_last_of_two_forks_goes_on_where_it_is():
    """Both go on in a shared block: one copies it, and the other then has it to itself."""
    cache = cache_of(capacity=48)
    parent = cache.start()
    append(cache, [parent], [20])
    child = cache.fork(parent)
    append(cache, [parent, child], [1, 1])
    assert cache.pool.free == 0
    third = cache.fork(child)
    with pytest.raises(CacheExhausted, match="ask for 1 blocks of 16, 0 of 3 are free"):
        cache.batch([parent, child, third], [1, 1, 1])


def test_a_block_leaves_the_window_when_all_its_holders_left_it():
    cache = cache_of(capacity=32, window=16)
    parent = cache.start()
    append(cache, [parent], [16])
    child = cache.fork(parent)
    append(cache, [parent], [15])
    with pytest.raises(CacheExhausted, match="ask for 1 blocks of 16, 0 of 2 are free"):
        cache.batch([parent], [2])  # its first block is held by the fork as well
    cache.free(child)
    append(cache, [parent], [2])
    assert cache.pool.free == 0


@pytest.mark.parametrize("lengths", [[5], [5, 4], [35, 34, 20, 1]])
def test_a_window_of_one_goes_on_in_a_block_that_was_given_back(lengths):
    cache = cache_of(window=1)
    sequence = cache.start()
    append(cache, [sequence], [48])
    append(cache, [sequence], [0])
    assert cache.pool.free == 4
    for length in lengths:
        cache.truncate(sequence, length)
    values = append(cache, [sequence], [1])
    np.testing.assert_array_equal(cache.contents(sequence, 1)[1][length:], values)
    assert cache.pool.free == 3


REFUSED = [
    ({"layers": 0}, ValueError, "layers must be at least 1, got 0"),
    ({"kv_heads": -1}, ValueError, "kv_heads must be at least 1, got -1"),
    ({"capacity": 0}, ValueError, "capacity must be at least 1, got 0"),
    ({"head_dim": 40}, ValueError, "head_dim must be a multiple of 16 from 32 to 256, got 40"),
    ({"block_size": 24}, ValueError, "block_size must be a power of two and at least 16, got 24"),
    ({"dtype": "float64"}, TypeError, "dtype must be float32, .* or int8, got float64"),
    ({"window": 0}, ValueError, "window must be at least 1 or None, got 0"),
    ({"sinks": 3}, ValueError, "sinks go with a window and are 0 or more, got 3"),
    ({"sinks": -3, "window": 2}, ValueError, "sinks go with a window and are 0 or more, got -3"),
]


@pytest.mark.parametrize(("options", "error", "says"), REFUSED)
def test_what_no_cache_is_made_of(options, error, says):
    with pytest.raises(error, match=f"^KVCache: {says}"):
        cache_of(**options)


@pytest.mark.parametrize(
    ("sequences", "counts", "error", "says"),
    [
        ([0], [1, 2], ValueError, "1 sequences, but 2 new_tokens"),
        ([0, 0], [1, 2], ValueError, r"a sequence comes twice in \[0, 0\]"),
        ([0], [-1], ValueError, r"new_tokens must not be negative: \[-1\]"),
        ([0, 7], [1, 1], KeyError, "there is no sequence 7"),
    ],
)
def test_a_wrong_batch_changes_nothing(sequences, counts, error, says):
    cache = cache_of()
    cache.start()
    with pytest.raises(error, match=says):
        cache.batch(sequences, counts)
    assert (cache.length(0), cache.pool.free) == (0, 4)


def test_what_a_cache_looks_like():
    assert repr(cache_of(window=8, sinks=1)) == (
        "KVCache(2 layers, 1 heads of 32, float32 on cpu, 4 blocks of 16, 4 free, window 8 and 1 "
        "sinks)"
    )

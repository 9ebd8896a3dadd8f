"""A cache under random use, beside a model of it that is nothing but lists.

Random sequences are started, forked, appended to in ragged batches, truncated and freed, with and
without a window, until the blocks run out and on from there. After each step every block is held as
often as tables say, what is in the cache is what was appended, and blocks that are free hold NaN.
"""

import copy
from collections import Counter

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.inference.dense import attend, rounding
from tinynn.inference import CacheExhausted, KVCache

LAYERS, KV_HEADS, HEADS, WIDTH, SIZE, BLOCKS = 2, 1, 3, 32, 16, 8


class CacheMachine(RuleBasedStateMachine):
    """The rules; `self.model[sequence][layer]` is a list of (key, value)."""

    @initialize(
        dtype=st.sampled_from(["float32", "int8"]),
        window=st.sampled_from([(None, 0), (1, 0), (20, 0), (20, 3), (33, 17)]),
    )
    def begin(self, dtype, window):
        self.window, self.sinks = window
        self.cache = KVCache(
            LAYERS,
            KV_HEADS,
            WIDTH,
            SIZE,
            dtype,
            capacity=SIZE * BLOCKS,
            window=self.window,
            sinks=self.sinks,
        )
        self.random = np.random.default_rng(0)
        self.model = {}

    def pick(self, data):
        return data.draw(st.sampled_from(sorted(self.model)), label="sequence")

    # ---- rules

    @precondition(lambda self: len(self.model) < 4)
    @rule()
    def start(self):
        sequence = self.cache.start()
        assert sequence not in self.model
        self.model[sequence] = [[] for _ in range(LAYERS)]

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def fork(self, data):
        parent = self.pick(data)
        self.model[self.cache.fork(parent)] = copy.deepcopy(self.model[parent])

    @precondition(lambda self: len(self.model) > 2)
    @rule(data=st.data())
    def free(self, data):
        sequence = self.pick(data)
        self.cache.free(sequence)
        del self.model[sequence]

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def truncate(self, data):
        sequence = self.pick(data)
        now = self.cache.length(sequence)
        length = data.draw(
            st.one_of(st.integers(0, now), st.integers(max(now - 4, 0), now)), "length"
        )
        gone = {
            place * SIZE + i
            for place, block in enumerate(self.cache.table(sequence).entries)
            if block < 0
            for i in range(SIZE)
        }
        if gone & set(self.seen(length)):
            before = list(self.cache.table(sequence).entries)
            with pytest.raises(ValueError, match="have left the window"):
                self.cache.truncate(sequence, length)
            assert list(self.cache.table(sequence).entries) == before
            return
        self.cache.truncate(sequence, length)
        for layer in self.model[sequence]:
            del layer[length:]

    @precondition(lambda self: self.model)
    @rule(tokens=st.integers(1, 2))
    def step(self, tokens):
        """A token or two for each sequence, as they are generated."""
        self.append(sorted(self.model), [tokens] * len(self.model))

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def prompts(self, data):
        """Ragged chunks for some of them."""
        any_of_them = st.lists(st.sampled_from(sorted(self.model)), min_size=1, unique=True)
        sequences = data.draw(any_of_them, "sequences")
        chunk = st.one_of(st.integers(0, 20), st.integers(0, 50))
        tokens = st.lists(chunk, min_size=len(sequences), max_size=len(sequences))
        self.append(sequences, data.draw(tokens, "new_tokens"))

    # ---- what is checked

    def append(self, sequences, tokens):
        fits = self.fits(sequences, tokens)
        before = self.everything()
        if not fits:
            with pytest.raises(CacheExhausted) as caught:
                self.cache.batch(sequences, tokens)
            assert caught.value.asked > caught.value.free
            self.assert_unchanged(before)
            return
        lengths = [self.cache.length(sequence) for sequence in sequences]
        batch = self.cache.batch(sequences, tokens)
        for sequence, length in zip(sequences, lengths, strict=True):
            self.assert_nothing_is_kept_in_vain(sequence, length)
        for layer in range(LAYERS):
            self.attend(batch, layer, sequences, tokens)

    def seen(self, position):
        """The positions before it that a token sees."""
        return [
            j
            for j in range(position)
            if self.window is None or j > position - self.window or j < self.sinks
        ]

    def assert_nothing_is_kept_in_vain(self, sequence, length):
        """A block is there if and only if a token from position `length` on may see it."""
        entries = self.cache.table(sequence).entries
        seen = {position // SIZE for position in self.seen(length)}
        ahead = range(length // SIZE, len(entries))
        assert {p for p, block in enumerate(entries) if block >= 0} == seen.union(ahead)

    def fits(self, sequences, tokens):
        """Whether the appends can be made one by one, tried on copies of all tables."""
        _, tables = copy.deepcopy((self.cache.pool, self.cache._tables))
        try:
            for sequence in sequences:
                tables[sequence].drop_expired()
            for sequence, count in zip(sequences, tokens, strict=True):
                tables[sequence].append(count)
        except CacheExhausted:
            return False
        return True

    def everything(self):
        cache = self.cache
        return copy.deepcopy((cache.pool, cache._tables, cache.keys, cache.values))

    def assert_unchanged(self, before):
        pool, tables, keys, values = before
        assert vars(self.cache.pool) == vars(pool)
        for sequence, table in tables.items():
            ours, theirs = vars(self.cache.table(sequence)), vars(table)
            assert {**ours, "pool": None} == {**theirs, "pool": None}
        np.testing.assert_array_equal(self.cache.keys, keys)
        np.testing.assert_array_equal(self.cache.values, values)

    def attend(self, batch, layer, sequences, tokens):
        total = sum(tokens)
        q = self.random.standard_normal((total, HEADS, WIDTH)).astype(np.float32)
        k, v = (
            self.random.standard_normal((total, KV_HEADS, WIDTH)).astype(np.float32)
            for _ in range(2)
        )
        out = batch.update_and_attend(layer, q, k, v)
        start = 0
        for sequence, count in zip(sequences, tokens, strict=True):
            part = slice(start, start + count)
            first = len(self.model[sequence][layer])
            self.model[sequence][layer] += list(zip(k[part], v[part], strict=True))
            keys, values = self.cache.contents(sequence, layer)
            expected, _ = attend(q[part], keys, values, first, self.window, self.sinks)
            whole = self.cache.key_scales is not None
            lost = rounding(q[part], keys, values)[1] if whole else 0
            np.testing.assert_allclose(out[part], expected, rtol=1e-4, atol=1e-5 + lost)
            start += count

    @invariant()
    def blocks_are_held_as_often_as_tables_say(self):
        pool, tables = self.cache.pool, self.cache._tables
        held = Counter(block for table in tables.values() for block in table.entries if block >= 0)
        assert [pool.holders(block) for block in range(BLOCKS)] == [
            held[block] for block in range(BLOCKS)
        ]
        free = [block for block in range(BLOCKS) if not held[block]]
        assert sorted(pool._free) == free
        floats = self.cache.keys if self.cache.key_scales is None else self.cache.key_scales
        floats[:, free] = np.nan

    @invariant()
    def the_cache_holds_what_was_appended(self):
        assert sorted(self.cache.sequences) == sorted(self.model)
        for sequence, layers in self.model.items():
            for number, pairs in enumerate(layers):
                assert self.cache.length(sequence) == len(pairs)
                seen = self.seen(len(pairs))
                for place, found in enumerate(self.cache.contents(sequence, number)):
                    given = np.array([pair[place] for pair in pairs]).reshape(-1, KV_HEADS, WIDTH)
                    bound = 0.0
                    if self.cache.dtype == np.int8:
                        bound = 0.5001 / 127 * np.abs(given[seen]).max(axis=-1, keepdims=True)
                    assert (np.abs(found[seen] - given[seen]) <= bound).all()

    def teardown(self):
        for sequence in list(getattr(self, "model", ())):
            self.cache.free(sequence)
        if hasattr(self, "model"):
            assert self.cache.pool.free == BLOCKS
            assert self.cache.sequences == ()


def test_a_cache_under_random_use():
    quick = settings()
    run_state_machine_as_test(
        CacheMachine,
        settings=settings(max_examples=4 * quick.max_examples, stateful_step_count=40),
    )

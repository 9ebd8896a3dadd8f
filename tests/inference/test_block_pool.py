"""The pool's numbers, and tables alone: what is taken, shared and given back."""

import pytest

from tinynn.inference import BlockPool, BlockTable, CacheExhausted


def test_blocks_are_taken_and_given_back():
    pool = BlockPool(3)
    blocks = [pool.take() for _ in range(3)]
    assert sorted(blocks) == [0, 1, 2]
    assert pool.free == 0
    with pytest.raises(CacheExhausted, match="1 block was asked for, 0 of 3 are free") as caught:
        pool.take()
    assert (caught.value.asked, caught.value.free) == (1, 0)
    pool.release(blocks[1])
    assert pool.take() == blocks[1]


def test_a_shared_block_is_free_after_its_last_release():
    pool = BlockPool(1)
    block = pool.take()
    pool.share(block)
    pool.release(block)
    assert (pool.holders(block), pool.free) == (1, 0)
    pool.release(block)
    assert (pool.holders(block), pool.free) == (0, 1)


@pytest.mark.parametrize("name", ["share", "release"])
@pytest.mark.parametrize("block", [0, -1, 2])
def test_a_block_that_nobody_holds_is_refused(name, block):
    pool = BlockPool(2)
    with pytest.raises(ValueError, match=f"BlockPool.{name}: nobody holds block {block} of 2"):
        getattr(pool, name)(block)
    assert pool.free == 2


def test_a_pool_without_blocks_is_refused():
    with pytest.raises(ValueError, match="capacity must be at least 1 block, got 0"):
        BlockPool(0)
    assert repr(BlockPool(4)) == "BlockPool(4 blocks, 4 free)"


def test_a_table_takes_blocks_as_it_grows():
    pool = BlockPool(4)
    table = BlockTable(pool, 16)
    for tokens, blocks in [(0, 0), (1, 1), (15, 1), (1, 2), (31, 3)]:
        assert table.lacking(tokens) == blocks - len(table.entries)
        assert table.append(tokens) is None
        assert len(table.entries) == blocks
    assert table.length == 48
    table.truncate(17)
    assert (table.length, len(table.entries), pool.free) == (17, 2, 2)
    table.free()
    assert (table.length, pool.free) == (0, 4)


def test_a_fork_copies_the_block_that_it_writes_and_no_other():
    pool = BlockPool(8)
    table = BlockTable(pool, 16)
    table.append(20)
    fork = table.fork()
    assert list(fork.entries) == list(table.entries)
    assert pool.free == 6
    copy = fork.append(1)
    assert copy is not None
    assert copy.source == table.entries[1]
    assert copy.target == fork.entries[1]
    assert fork.entries[0] == table.entries[0]
    assert table.append(1) is None  # by now it holds the block alone
    # At a border between blocks nothing is copied.
    fork.truncate(16)
    assert fork.fork().append(1) is None


@pytest.mark.parametrize(
    ("window", "sinks", "length", "missing"),
    [
        (16, 0, 30, []),  # the token at position 30 sees 15 to 30
        (16, 0, 31, [0]),
        (17, 0, 32, [0]),
        (18, 0, 32, []),
        (1, 0, 32, [0, 1]),
        (1, 0, 33, [0, 1]),
        (1, 1, 48, [1, 2]),
        (1, 16, 48, [1, 2]),
        (1, 17, 48, [2]),
        (None, 0, 100, []),
    ],
)
def test_blocks_that_no_later_token_sees_are_given_back(window, sinks, length, missing):
    pool = BlockPool(8)
    table = BlockTable(pool, 16, window, sinks)
    table.append(length)
    table.drop_expired()
    assert [place for place, block in enumerate(table.entries) if block == -1] == missing
    assert pool.free == 8 - len(table.entries) + len(missing)
    table.drop_expired()
    table.append(3)
    table.free()
    assert pool.free == 8


def test_a_window_cannot_go_back_to_what_it_gave_away():
    pool = BlockPool(8)
    table = BlockTable(pool, 16, window=4, sinks=2)
    table.append(70)
    table.truncate(40)  # nothing was given back yet
    table.append(30)
    table.drop_expired()  # entry 0 has the sinks; 1, 2 and 3 are gone
    table.append(1)
    for length in (17, 40, 66):
        with pytest.raises(ValueError, match=f"position {length} would see .* before 64 have left"):
            table.truncate(length)
    assert table.length == 71
    table.truncate(67)
    table.truncate(16)
    assert pool.free == 7
    table.append(40)
    assert -1 not in table.entries
    with pytest.raises(ValueError, match="length must be 0 to the sequence's 56, got 57"):
        table.truncate(57)
    table.drop_expired()  # once more what it had given back before
    assert [place for place, block in enumerate(table.entries) if block == -1] == [1, 2]


def test_what_a_table_looks_like():
    table = BlockTable(BlockPool(2), 16)
    table.append(17)
    assert repr(table) == "BlockTable(17 positions in blocks [0, 1])"

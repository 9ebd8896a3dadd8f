"""BlockTable: the blocks in which the positions of one sequence lie."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tinynn.inference.block_pool import BlockPool

NONE = -1


class Copy(NamedTuple):
    """A block that is to be copied to another before it is written."""

    source: int
    target: int


class BlockTable:
    """A sequence: entry i is the block of positions i * block_size to (i + 1) * block_size - 1.

    A sliding window is a matter of tables alone. Blocks that no later token sees are given back,
    and their entries are -1; positions go on counting.

    Arguments:
        pool: where blocks come from.
        block_size: how many positions a block holds.
        window: a token sees that many positions, its own the last of them; None for all.
        sinks: and the first `sinks` positions, whatever the window says.

    Attributes:
        entries: the blocks, as an array of int32.
        length: how many positions are filled.
        version: how often the table was changed; who has copied entries can tell by it.
    """

    def __init__(
        self, pool: BlockPool, block_size: int, window: int | None = None, sinks: int = 0
    ) -> None:
        self.pool = pool
        self.block_size = block_size
        self.window = window
        self.entries = array("i")
        self.length = self.version = 0
        # Entries from here on are not given back yet; those before the first stay for good.
        self._kept_from = self._sink_blocks = -(-sinks // block_size)

    # ---- what an append would need

    def expired(self) -> range:
        """The entries of blocks that no token from now on sees, not given back yet."""
        if self.window is None:
            return range(0)
        oldest = self.length - self.window + 1
        return range(self._kept_from, max(oldest // self.block_size, self._kept_from))

    def lacking(self, tokens: int) -> int:
        """How many blocks it takes to hold so many more positions."""
        return -(-(self.length + tokens) // self.block_size) - len(self.entries)

    def written(self, tokens: int) -> int | None:
        """The block, filled in part, that an append goes on writing; None where there is none."""
        full = self.length >= len(self.entries) * self.block_size
        return self.entries[-1] if tokens and not full else None

    # ---- changes

    def drop_expired(self) -> None:
        """Gives back what no later token sees."""
        expired = self.expired()
        for place in expired:
            self.pool.release(self.entries[place])
            self.entries[place] = NONE
            self.version += 1
        self._kept_from = max(self._kept_from, expired.stop)

    def append(self, tokens: int) -> Copy | None:
        """Makes room for so many more positions, in blocks that nobody else holds.

        The caller has seen to it that the pool has enough. Returns which block is to be copied
        first, where the one that is filled in part is held by others as well.
        """
        written, copy = self.written(tokens), None
        if written is not None and self.pool.holders(written) > 1:
            copy = Copy(written, self.pool.take())
            self.pool.release(written)
            self.entries[-1] = copy.target
        for _ in range(self.lacking(tokens)):
            self.entries.append(self.pool.take())
        self.length += tokens
        self.version += 1
        return copy

    def truncate(self, length: int) -> None:
        """Forgets the positions from `length` on, and gives back blocks that hold no others.

        ValueError for more positions than there are, and where a token at position `length` would
        see some that a window has already given back.
        """
        if not 0 <= length <= self.length:
            raise ValueError(
                f"truncate: length must be 0 to the sequence's {self.length}, got {length}"
            )
        if self.window is not None:
            first, stop = (n * self.block_size for n in (self._sink_blocks, self._kept_from))
            oldest = max(length - self.window + 1, first)
            if oldest < min(length, stop):
                raise ValueError(
                    f"truncate: a token at position {length} would see positions from {oldest} on, "
                    f"but those before {stop} have left the window of {self.window}"
                )
        needed = -(-length // self.block_size)
        keep = min(needed, len(self.entries))
        if keep == needed and length % self.block_size and self.entries[keep - 1] == NONE:
            keep -= 1  # a window of 1 goes on in the middle of a block that is gone: in a new one
        self._release(keep)
        self.length = length
        self.version += 1
        self._kept_from = max(min(self._kept_from, keep), self._sink_blocks)

    def fork(self) -> BlockTable:
        """Another sequence with the same positions, in the same blocks."""
        other = BlockTable(self.pool, self.block_size, self.window)
        other.entries, other.length = self.entries[:], self.length
        other._kept_from, other._sink_blocks = self._kept_from, self._sink_blocks
        for block in self.entries:
            if block != NONE:
                self.pool.share(block)
        return other

    def free(self) -> None:
        """Gives back all blocks."""
        self._release(0)
        self.version += 1
        self.length, self._kept_from = 0, self._sink_blocks

    def _release(self, keep: int) -> None:
        for block in self.entries[keep:]:
            if block != NONE:
                self.pool.release(block)
        del self.entries[keep:]

    def __repr__(self) -> str:
        return f"BlockTable({self.length} positions in blocks {self.entries.tolist()})"

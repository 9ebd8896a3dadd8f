"""BlockPool: which blocks of a cache are free, and how many tables hold each of the others."""

from __future__ import annotations


class CacheExhausted(RuntimeError):
    """There are fewer free blocks than were asked for; nothing was changed.

    Attributes:
        asked, free: numbers of blocks.
    """

    def __init__(self, message: str, asked: int, free: int) -> None:
        super().__init__(message)
        self.asked = asked
        self.free = free


class BlockPool:
    """The numbers 0 to capacity - 1, handed out one by one and taken back; all in constant time.

    It knows no arrays and no sequences: a block is a number that somebody holds.

    Arguments:
        capacity: how many blocks there are.

    >>> pool = BlockPool(2)
    >>> block = pool.take()
    >>> pool.share(block)
    >>> pool.release(block)
    >>> pool.holders(block), pool.free
    (1, 1)
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"BlockPool: capacity must be at least 1 block, got {capacity}")
        self.capacity = capacity
        # The last one is handed out next, so that blocks in use stay few and near.
        self._free = list(range(capacity - 1, -1, -1))
        self._holders = [0] * capacity

    @property
    def free(self) -> int:
        """How many blocks nobody holds."""
        return len(self._free)

    def take(self) -> int:
        """A free block, now held once; CacheExhausted where there is none."""
        if not self._free:
            raise CacheExhausted(
                f"BlockPool: 1 block was asked for, 0 of {self.capacity} are free", 1, 0
            )
        block = self._free.pop()
        self._holders[block] = 1
        return block

    def share(self, block: int) -> None:
        """Holds a block once more; ValueError for a free one."""
        self._check_held("share", block)
        self._holders[block] += 1

    def release(self, block: int) -> None:
        """Holds a block once less; the last release frees it. ValueError for a free one."""
        self._check_held("release", block)
        self._holders[block] -= 1
        if not self._holders[block]:
            self._free.append(block)

    def holders(self, block: int) -> int:
        """How often a block is held; 0 for a free one."""
        return self._holders[block]

    def _check_held(self, name: str, block: int) -> None:
        if not 0 <= block < self.capacity or not self._holders[block]:
            raise ValueError(f"BlockPool.{name}: nobody holds block {block} of {self.capacity}")

    def __repr__(self) -> str:
        return f"BlockPool({self.capacity} blocks, {self.free} free)"

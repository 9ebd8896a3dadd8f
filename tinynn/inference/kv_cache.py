"""KVCache: the keys and values of many sequences, in the blocks of one pool."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.backend.devices import Device, array_module, backend_for
from tinynn.backend.dtypes import as_dtype
from tinynn.inference.block_pool import BlockPool, CacheExhausted
from tinynn.inference.block_table import NONE, BlockTable
from tinynn.inference.cache_batch import CacheBatch
from tinynn.ops.paged import check_block_size, check_head_dim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinynn.backend.dtypes import DTypeLike

Array = Any

CACHE_DTYPES = ("float32", "float16", "bfloat16", "int8")


class KVCache:
    """Keys and values of all layers, so that a token is computed once and read from then on.

    A sequence is a number that `start` or `fork` gives. `batch` makes room for a step's new tokens
    of several sequences; the layers of a model then append to it and attend through it.

    With a window it is a sliding one: a token sees the last `window` positions, its own the last,
    and the first `sinks` ones (https://arxiv.org/abs/2309.17453). What no later token sees goes
    back to the pool when its sequence takes part in a batch again; until then drafts may be taken
    back by `truncate`.

    Arguments:
        layers, kv_heads, head_dim: those of the model.
        block_size: positions in a block, a power of two and at least 16.
        dtype: what is kept: float32, float16, bfloat16, or int8 with a scale for each vector.
        device: where.
        capacity: how many positions all sequences together may hold, rounded up to whole blocks.
        window, sinks: see above; None and 0 keep all.

    Attributes:
        keys, values: [layers, blocks, kv_heads, block_size, head_dim].
        key_scales, value_scales: [layers, blocks, kv_heads, block_size] float32 for int8, else
            None.
        pool: the blocks.

    >>> import tinynn as tn
    >>> cache = KVCache(layers=1, kv_heads=2, head_dim=32, capacity=64)
    >>> sequence = cache.start()
    >>> batch = cache.batch([sequence], [3])
    >>> q, k, v = tn.ones(3, 4, 32), tn.ones(3, 2, 32), tn.ones(3, 2, 32)
    >>> batch.update_and_attend(0, q, k, v).shape
    (3, 4, 32)
    >>> cache.length(sequence), cache
    (3, KVCache(1 layers, 2 heads of 32, float32 on cpu, 4 blocks of 16, 3 free))
    """

    def __init__(
        self,
        layers: int,
        kv_heads: int,
        head_dim: int,
        block_size: int = 16,
        dtype: DTypeLike = "float32",
        device: Any = "cpu",
        capacity: int = 4096,
        *,
        window: int | None = None,
        sinks: int = 0,
    ) -> None:
        for name, number in (("layers", layers), ("kv_heads", kv_heads), ("capacity", capacity)):
            if number < 1:
                raise ValueError(f"KVCache: {name} must be at least 1, got {number}")
        check_head_dim("KVCache", head_dim)
        check_block_size("KVCache", block_size)
        if window is not None and window < 1:
            raise ValueError(f"KVCache: window must be at least 1 or None, got {window}")
        if sinks < 0 or (sinks and window is None):
            raise ValueError(f"KVCache: sinks go with a window and are 0 or more, got {sinks}")
        self.layers, self.kv_heads, self.head_dim = layers, kv_heads, head_dim
        self.block_size, self.window, self.sinks = block_size, window, sinks
        self.dtype = as_dtype(dtype)
        if self.dtype.name not in CACHE_DTYPES:
            raise TypeError(
                f"KVCache: dtype must be float32, float16, bfloat16 or int8, got {self.dtype}"
            )
        self.device = Device(device)
        self.pool = BlockPool(-(-capacity // block_size))
        xp = backend_for(self.device).xp
        shape = (layers, self.pool.capacity, kv_heads, block_size, head_dim)
        self.keys, self.values = (xp.zeros(shape, dtype=self.dtype) for _ in range(2))
        self.key_scales: Array | None = None
        self.value_scales: Array | None = None
        if self.dtype == np.int8:
            self.key_scales, self.value_scales = (
                xp.zeros(shape[:-1], dtype="float32") for _ in range(2)
            )
        self._tables: dict[int, BlockTable] = {}
        self._numbers = count()

    # ---- sequences

    def start(self) -> int:
        """A new sequence without positions; it takes no block yet."""
        sequence = next(self._numbers)
        self._tables[sequence] = BlockTable(self.pool, self.block_size, self.window, self.sinks)
        return sequence

    def fork(self, sequence: int) -> int:
        """A new sequence with the same positions. It shares their blocks; a block that both go on
        writing is copied by the first that does."""
        other = next(self._numbers)
        self._tables[other] = self.table(sequence).fork()
        return other

    def free(self, sequence: int) -> None:
        """Forgets a sequence; blocks that it alone held are free."""
        self.table(sequence).free()
        del self._tables[sequence]

    def truncate(self, sequence: int, length: int) -> None:
        """Forgets the positions from `length` on, such as those of rejected drafts.

        ValueError for more positions than there are, or where the window has lost what a token
        there would see.
        """
        self.table(sequence).truncate(length)

    def length(self, sequence: int) -> int:
        """How many positions a sequence has."""
        return self.table(sequence).length

    def table(self, sequence: int) -> BlockTable:
        """The table of a sequence, to look at; KeyError for one that is not here."""
        try:
            return self._tables[sequence]
        except KeyError:
            raise KeyError(
                f"KVCache: there is no sequence {sequence!r}; start() gives a new one"
            ) from None

    @property
    def sequences(self) -> tuple[int, ...]:
        """The sequences that are here."""
        return tuple(self._tables)

    @property
    def nbytes(self) -> int:
        """How much memory keys, values and scales take."""
        arrays = (self.keys, self.values, self.key_scales, self.value_scales)
        return sum(int(array.nbytes) for array in arrays if array is not None)

    # ---- steps

    def batch(self, sequences: Sequence[int], new_tokens: Sequence[int]) -> CacheBatch:
        """Makes room for new tokens of some sequences, whose lengths count them from now on.

        It is for one step: any change of one of its sequences, by `truncate`, `free` or another
        batch, puts an end to it.

        Arguments:
            sequences: each at most once.
            new_tokens: how many of each, 0 or more.

        CacheExhausted where there are not enough free blocks for all of them, and ValueError and
        KeyError for arguments that are not right, leave everything as it was.
        """
        if len(sequences) != len(new_tokens):
            raise ValueError(
                f"KVCache.batch: {len(sequences)} sequences, but {len(new_tokens)} new_tokens"
            )
        if len(set(sequences)) < len(sequences):
            raise ValueError(f"KVCache.batch: a sequence comes twice in {list(sequences)}")
        if any(tokens < 0 for tokens in new_tokens):
            raise ValueError(f"KVCache.batch: new_tokens must not be negative: {list(new_tokens)}")
        tables = [self.table(sequence) for sequence in sequences]
        self._check_room(tables, new_tokens)
        for table in tables:
            table.drop_expired()
        for table, tokens in zip(tables, new_tokens, strict=True):
            copy = table.append(tokens)
            if copy is not None:
                self._copy_block(copy.source, copy.target)
        return CacheBatch(self, tuple(sequences), tables, new_tokens)

    def _check_room(self, tables: Sequence[BlockTable], new_tokens: Sequence[int]) -> None:
        """Counts what `batch` would take and give back, and changes nothing."""
        asked, gained = 0, 0
        released: dict[int, int] = {}
        for table in tables:
            for place in table.expired():
                block = table.entries[place]
                released[block] = released.get(block, 0) + 1
                gained += released[block] == self.pool.holders(block)
        for table, tokens in zip(tables, new_tokens, strict=True):
            asked += table.lacking(tokens)
            written = table.written(tokens)
            if written is not None and self.pool.holders(written) - released.get(written, 0) > 1:
                asked += 1  # for a copy, after which it is held once less
                released[written] = released.get(written, 0) + 1
        free = self.pool.free + gained
        if asked > free:
            raise CacheExhausted(
                f"KVCache.batch: {sum(new_tokens)} new tokens of {len(tables)} sequences ask for "
                f"{asked} blocks of {self.block_size}, {free} of {self.pool.capacity} are free; "
                "free a sequence, or make the cache with a larger capacity",
                asked,
                free,
            )

    def _copy_block(self, source: int, target: int) -> None:
        for array in (self.keys, self.values, self.key_scales, self.value_scales):
            if array is not None:
                array[:, target] = array[:, source]

    # ---- what is in it

    def contents(self, sequence: int, layer: int) -> tuple[Array, Array]:
        """(keys, values) of a sequence in a layer, [length, kv_heads, head_dim] float32.

        For tests and for people. Positions that have left the window are NaN.
        """
        table = self.table(sequence)
        found = (
            self._gathered(table, array[layer], None if scales is None else scales[layer])
            for array, scales in ((self.keys, self.key_scales), (self.values, self.value_scales))
        )
        return next(found), next(found)

    def _gathered(self, table: BlockTable, array: Array, scales: Array | None) -> Array:
        xp = array_module(array)
        result = xp.full((table.length, self.kv_heads, self.head_dim), np.nan, dtype="float32")
        for place, block in enumerate(table.entries):
            if block == NONE:
                continue
            first = place * self.block_size
            size = min(self.block_size, table.length - first)
            vectors = array[block, :, :size].astype("float32")
            if scales is not None:
                vectors = vectors * scales[block, :, :size, None]
            result[first : first + size] = vectors.swapaxes(0, 1)
        return result

    def __repr__(self) -> str:
        window = "" if self.window is None else f", window {self.window} and {self.sinks} sinks"
        return (
            f"KVCache({self.layers} layers, {self.kv_heads} heads of {self.head_dim}, {self.dtype} "
            f"on {self.device}, {self.pool.capacity} blocks of {self.block_size}, "
            f"{self.pool.free} free{window})"
        )

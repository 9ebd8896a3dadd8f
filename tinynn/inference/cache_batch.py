"""CacheBatch: one step of a model over some sequences of a cache."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinynn.autograd import Tensor
from tinynn.autograd.grad_mode import grad_mode
from tinynn.backend import recording
from tinynn.backend.devices import transfer
from tinynn.inference.block_table import NONE
from tinynn.ops.decoding import appended, attended
from tinynn.ops.paged import PagedKV, check_new, check_query, check_window
from tinynn.ops.rotary import rope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinynn.inference.block_table import BlockTable
    from tinynn.inference.kv_cache import KVCache
    from tinynn.nn.rotary import RotaryEmbedding

Array = Any


class Places(NamedTuple):
    """Where the new tokens of a step go: arrays on the host, or tensors on the cache's device.

    Attributes:
        positions: [tokens] int64, in their sequences.
        query_starts: [sequences + 1] int32, where each one's tokens begin.
        block_tables: [sequences, most blocks] int32.
        lengths: [sequences] int32, the new tokens included.
        slots: [tokens] int64, block * block_size + place in it.
    """

    positions: Any
    query_starts: Any
    block_tables: Any
    lengths: Any
    slots: Any


class CacheBatch:
    """What all layers of a step have in common: which tokens are new, and where they go.

    `KVCache.batch` makes it. The tokens are packed, sequence after sequence: token i of n new ones
    of a sequence is at its position length - n + i. It is an `nn.attention.AttentionCache`.

    It knows its sequences as they are when it is made. After one of them was truncated, freed or
    given to another batch, it raises RuntimeError and touches nothing.

    Attributes:
        sequences: their numbers.
        host: the `Places` of its tokens, on the host; None where it was made of tensors.
        positions: [tokens] int64, a tensor on the cache's device.
        query_starts, block_tables, lengths, slots: see `Places`; arrays there.
    """

    def __init__(
        self,
        cache: KVCache,
        sequences: tuple[int, ...],
        tables: Sequence[BlockTable],
        new_tokens: Sequence[int],
    ) -> None:
        self.cache = cache
        self.sequences = sequences
        size = cache.block_size
        counts = np.array(new_tokens, np.int64).reshape(len(tables))
        lengths = np.array([table.length for table in tables], np.int64)
        starts = np.concatenate([[0], np.cumsum(counts)])
        width = max((len(table.entries) for table in tables), default=0)
        rows = np.full((len(tables), max(width, 1)), NONE, np.int32)
        for row, table in zip(rows, tables, strict=True):
            row[: len(table.entries)] = table.entries
        owner = np.repeat(np.arange(len(tables)), counts)
        # What the arrays tell is so only as long as nothing changes the tables.
        self._tables, self._lengths = tables, lengths
        self._versions = [table.version for table in tables]
        positions = np.arange(starts[-1]) - starts[owner] + (lengths - counts)[owner]
        slots = rows[owner, positions // size].astype(np.int64) * size + positions % size
        self.host: Places | None = Places(
            positions, starts.astype(np.int32), rows, lengths.astype(np.int32), slots
        )
        self._angles: dict[int, tuple[RotaryEmbedding, Tensor, Tensor]] = {}

    @classmethod
    def of_tensors(cls, cache: KVCache, places: Places) -> CacheBatch:
        """A step that is told by its tensors alone, such as those of a recorded step; what becomes
        of the sequences is not looked at. A negative slot is not written."""
        batch = cls.__new__(cls)
        batch.cache, batch.sequences, batch.host = cache, (), None
        batch._tables, batch._lengths, batch._versions = (), np.zeros(0, np.int64), []
        batch._places, batch._angles = places, {}
        return batch

    @cached_property
    def _places(self) -> Places:
        """The tensors on the device, where they go when they are first asked for."""
        assert self.host is not None
        device = self.cache.device
        return Places(*(Tensor(transfer(array, device)) for array in self.host))

    @property
    def positions(self) -> Tensor:
        positions: Tensor = self._places.positions
        return positions

    @property
    def query_starts(self) -> Array:
        return self._places.query_starts.data

    @property
    def block_tables(self) -> Array:
        return self._places.block_tables.data

    @property
    def lengths(self) -> Array:
        return self._places.lengths.data

    @property
    def slots(self) -> Array:
        return self._places.slots.data

    @property
    def tokens(self) -> int:
        """How many new tokens there are in all."""
        return self.positions.shape[0]

    def paged(self, layer: int) -> PagedKV:
        """What an operation on a layer of the cache is given."""
        cache = self.cache
        if self._tables and recording.constant("the sequences of a batch", self._is_outdated):
            raise self._outdated()
        if not 0 <= layer < cache.layers:
            raise IndexError(f"KVCache: layer {layer} is not one of 0 to {cache.layers - 1}")
        return PagedKV(
            cache.keys[layer],
            cache.values[layer],
            None if cache.key_scales is None else cache.key_scales[layer],
            None if cache.value_scales is None else cache.value_scales[layer],
            self.block_tables,
            self.lengths,
        )

    def update_and_attend(
        self,
        layer: int,
        query: Any,
        key: Any,
        value: Any,
        *,
        rotary: RotaryEmbedding | None = None,
        scale: float | None = None,
        window: int | None = None,
        sinks: int = 0,
        split_size: int | None = None,
    ) -> Any:
        """Appends the new tokens' keys and values to a layer, and attends to all of the sequence.

        Arguments:
            query: [tokens, heads, head_dim] float32, float16 or bfloat16, a tensor or an array.
            key, value: [tokens, kv_heads, head_dim], of the query's dtype.
            rotary: turns queries and keys by their positions.
            scale: of the products; None for 1 / sqrt(head_dim).
            window, sinks: those of this layer, within those of the cache; None takes the cache's.
            split_size: see `F.decode_attention`.

        Returns [tokens, heads, head_dim] in the query's dtype, a tensor if the query is one.
        Called once for each layer; a second call writes the same places again.
        """
        q, k, v = _tensor("query", query), _tensor("key", key), _tensor("value", value)
        paged = self.paged(layer)
        check_query("KVCache", q.data, self.query_starts, paged)
        check_new("KVCache", k.data, v.data, self.slots, paged)
        if q.shape[0] != self.tokens:
            raise ValueError(
                f"KVCache: query has {q.shape[0]} tokens, the batch has {self.tokens} new ones"
            )
        if q.data.dtype != k.data.dtype:
            raise TypeError(f"KVCache: query is {q.dtype}, but key and value are {k.dtype}")
        check_window("KVCache", window, sinks, split_size)
        window, sinks = self._window(window, sinks)
        cos = sin = None
        interleaved = rotary is not None and rotary.interleaved
        if rotary is not None:
            cos, sin = self._turns(rotary)
            q = rope(q, cos[:, None], sin[:, None], interleaved)
        appended(k, v, self._places.slots, paged, cos, sin, interleaved)
        options = {"window": window, "sinks": sinks, "split_size": split_size}
        out, _ = attended(q, paged, self._places.query_starts, scale=scale, **options)
        return out if isinstance(query, Tensor) else out.data

    def _is_outdated(self) -> bool:
        """Whether any of the sequences was changed."""
        return [table.version for table in self._tables] != self._versions

    def _outdated(self) -> RuntimeError:
        """What to raise for the first sequence that was changed."""
        sequence, table, length = next(
            (sequence, table, length)
            for sequence, table, version, length in zip(
                self.sequences, self._tables, self._versions, self._lengths, strict=True
            )
            if table.version != version
        )
        now = f"truncated or given to another batch: it has {table.length}"
        if sequence not in self.cache.sequences:
            now = "freed"
        return RuntimeError(
            f"KVCache: this batch was made for sequence {sequence} of {length} positions, since "
            f"then it was {now}; use a batch in all layers before its sequences are changed, and "
            "call batch() for each step"
        )

    def _turns(self, rotary: RotaryEmbedding) -> tuple[Tensor, Tensor]:
        """cos and sin of the new positions, found once for all layers."""
        if id(rotary) not in self._angles:
            if rotary.head_dim != self.cache.head_dim:
                raise ValueError(
                    f"KVCache: rotary turns vectors of {rotary.head_dim}, the cache holds "
                    f"{self.cache.head_dim}"
                )
            cos, sin = rotary.tables(self.positions)
            self._angles[id(rotary)] = (rotary, cos, sin)
        return self._angles[id(rotary)][1:]

    def _window(self, window: int | None, sinks: int) -> tuple[int | None, int]:
        """The window of a layer, which must not see what the cache's own has given back."""
        cache = self.cache
        if window is None:
            return cache.window, cache.sinks
        if cache.window is not None and (window > cache.window or sinks > cache.sinks):
            raise ValueError(
                f"KVCache: a window of {window} with {sinks} sinks sees more than the cache keeps, "
                f"a window of {cache.window} with {cache.sinks} sinks"
            )
        return window, sinks


def _tensor(name: str, item: Any) -> Tensor:
    """A tensor, or an array as one; RuntimeError where a gradient would be lost."""
    if not isinstance(item, Tensor):
        return Tensor(item)
    if item.requires_grad and grad_mode.enabled:
        raise RuntimeError(
            f"KVCache: no gradient goes through a cache, but {name} requires one; compute under "
            "tn.no_grad()"
        )
    return item

"""A model's steps over a cache: as they are written, or recorded and replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.autograd import Tensor
from tinynn.autograd.grad_mode import no_grad
from tinynn.capture import compile
from tinynn.inference import CacheBatch
from tinynn.ops.creation import tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinynn.inference import KVCache
    from tinynn.models import Transformer

    Array = np.ndarray[Any, Any]

# Steps that a recording has to save time in: it takes as long as some twenty steps gain.
WORTH_RECORDING = 32


class Steps:
    """Scores of new tokens, for texts in a cache.

    Where each text has one new token, most of the time of a small model is Python's. Such a step is
    recorded once (see `tn.compile`) for each size that it comes in: 1, 2, 4, 8 ... texts, and
    tables of 16, 32 ... blocks; rows that fill up a size are of no text, and are not written.
    """

    def __init__(self, model: Transformer, cache: KVCache) -> None:
        self.model, self.cache = model, cache
        self._known: set[tuple[int, int]] = set()
        # A replay calls no hooks.
        self._is_watched = any(module.has_hooks() for module in model.modules())

        def decode(tokens: Tensor, *place: Tensor) -> Any:
            with no_grad():
                return model(tokens, cache=CacheBatch.of_tensors(cache, *place))

        self._recorded = compile(decode)

    def scores(
        self, tokens: Sequence[int], batch: CacheBatch, rows: Sequence[int], left: int
    ) -> Array:
        """[rows, vocab_size] float32, on the host.

        Arguments:
            tokens: the new ones of all texts, one after the other.
            batch: of the cache, for them.
            rows: which of them are scored.
            left: for how many steps more there is work.
        """
        count, texts = len(tokens), len(batch.sequences)
        is_one_each = count == len(rows) == texts
        if is_one_each and self.cache.device.type == "cpu" and not self._is_watched:
            size = _power(texts, 1), _power(batch.block_tables.shape[1], 16)
            if size in self._known or left >= WORTH_RECORDING:
                self._known.add(size)
                found: Array = self._recorded(*_filled(tokens, batch, *size)).numpy()[:texts]
                return found
        with no_grad():
            given = tensor(list(tokens), device=self.model.device)
            scores = self.model(given, cache=batch, rows=np.array(rows, np.int64))
        result: Array = scores.to("cpu").numpy()
        return result


def _filled(tokens: Sequence[int], batch: CacheBatch, texts: int, blocks: int) -> list[Tensor]:
    """The arguments of a recorded step: what the batch tells, in arrays of a given size."""
    count = len(tokens)
    given = np.zeros(texts, np.int64)
    positions, slots = np.zeros(texts, np.int64), np.full(texts, -1, np.int64)
    tables, lengths = np.full((texts, blocks), -1, np.int32), np.zeros(texts, np.int32)
    given[:count], positions[:count] = tokens, batch.positions.data
    slots[:count], lengths[:count] = batch.slots, batch.lengths
    tables[:count, : batch.block_tables.shape[1]] = batch.block_tables
    starts = np.arange(texts + 1, dtype=np.int32)
    return [Tensor(array) for array in (given, positions, starts, tables, lengths, slots)]


def _power(number: int, least: int) -> int:
    """The least power of two times `least` that is no less than a number."""
    while least < number:
        least *= 2
    return least

"""A model's steps over a cache: as they are written, or recorded and replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.autograd.grad_mode import no_grad
from tinynn.backend.dtypes import int32
from tinynn.capture import CaptureError
from tinynn.capture.compiled import Compiled
from tinynn.inference import CacheBatch
from tinynn.inference.cache_batch import Places
from tinynn.ops.creation import arange, tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinynn.autograd import Tensor
    from tinynn.inference import KVCache
    from tinynn.models import Transformer

    Array = np.ndarray[Any, Any]

# Steps that a recording has to save time in: it takes as long as some twenty steps gain.
WORTH_RECORDING = 32
MOST_SIZES = 256  # more than there are: powers of two, of texts and of blocks


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
        self._can_record = not any(module.has_hooks() for module in model.modules())

        def decode(packed: Tensor) -> Any:
            with no_grad():
                return model(packed[0], cache=CacheBatch.of_tensors(cache, _unpacked(packed)))

        self._recorded = Compiled(decode, most_plans=MOST_SIZES)

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
        if count == len(rows) == texts and batch.host is not None and self._can_record:
            size = _power(texts, 1), _power(batch.host.block_tables.shape[1], 16)
            if size in self._known or left >= WORTH_RECORDING:
                self._known.add(size)
                packed = tensor(_packed(tokens, batch.host, *size), device=self.model.device)
                try:
                    return _on_host(self._recorded(packed))[:texts]
                except (CaptureError, MemoryError):  # a kernel is missing, or room for a plan
                    self._can_record = False
        with no_grad():
            given = tensor(list(tokens), device=self.model.device)
            return _on_host(self.model(given, cache=batch, rows=np.array(rows, np.int64)))


def _on_host(scores: Tensor) -> Array:
    found: Array = scores.to("cpu").numpy()
    return found


def _packed(tokens: Sequence[int], places: Places, texts: int, blocks: int) -> Array:
    """The arguments of a recorded step as one array, which goes to a device at once: [4 + blocks,
    texts] int64. Its rows are tokens, positions, slots, lengths, and the table's columns."""
    count, width = places.block_tables.shape
    packed = np.full((4 + blocks, texts), -1, np.int64)
    packed[[0, 1, 3]] = 0
    given = (tokens, places.positions, places.slots, places.lengths)
    packed[:4, :count] = given
    packed[4 : 4 + width, :count] = places.block_tables.T
    return packed


def _unpacked(packed: Tensor) -> Places:
    """Where the tokens of a recorded step go, one of each text."""
    positions, slots, lengths = packed[1], packed[2], packed[3].to(int32)
    starts = arange(packed.shape[1] + 1, dtype=int32, device=packed.device)
    return Places(positions, starts, packed[4:].T.contiguous().to(int32), lengths, slots)


def _power(number: int, least: int) -> int:
    """The least power of two times `least` that is no less than a number."""
    while least < number:
        least *= 2
    return least

"""Token ids in a file that is mapped, and the batches of a text that a model learns from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinynn.autograd import Tensor
from tinynn.data.counter_random import WINDOWS, random_bits
from tinynn.io.atomic import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tinynn.io.atomic import StrPath

    Array = np.ndarray[Any, Any]


def token_type(vocab_size: int) -> np.dtype[Any]:
    """The smaller of uint16 and uint32 that holds every id of a vocabulary.

    >>> token_type(65536), token_type(65537)
    (dtype('uint16'), dtype('uint32'))
    """
    return np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")


def write_tokens(path: StrPath, parts: Iterable[Array], vocab_size: int) -> None:
    """Writes ids one after the other, with nothing before or behind them, whole or not at all.

    Arguments:
        parts: of the ids, integers of 1 dimension, from 0 to vocab_size - 1.

    Raises OSError where it cannot be written.
    """
    with atomic_write(path) as file:
        for part in parts:
            file.write(np.asarray(part).astype(token_type(vocab_size)).tobytes())


def map_tokens(path: StrPath, vocab_size: int) -> Array:
    """The ids of a file that `write_tokens` wrote: uint16 or uint32, read as they are used.

    Raises:
        ValueError: a length that is no whole number of ids, or an id that is not in the vocabulary.
        OSError: it is missing or cannot be read.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "tokens.bin")
    >>> write_tokens(path, [np.array([3, 1]), np.array([4])], vocab_size=50)
    >>> map_tokens(path, vocab_size=50)
    array([3, 1, 4], dtype=uint16)
    """
    kind = token_type(vocab_size)
    with open(path, "rb") as file:
        size = file.seek(0, 2)
    if size == 0 or size % kind.itemsize:
        raise ValueError(
            f"{path} is damaged: it has {size} bytes, expected a multiple of {kind.itemsize}, "
            f"for ids of a vocabulary of {vocab_size}"
        )
    # A plain array over the mapped pages: np.memmap's own kind of array is slow to index.
    tokens = np.asarray(np.memmap(path, kind, "r"))
    if tokens.max() >= vocab_size:
        raise ValueError(
            f"{path} is damaged: it holds the id {tokens.max()}, expected ids below {vocab_size}"
        )
    return tokens


class TokenBatches:
    """Batches of windows from anywhere in a text, for `Trainer.fit`.

    A batch is `(inputs, targets)`, int64 [batch_size, length] each; a target is the id that comes
    after its input. It is a function of the seed and of its number alone.

    Arguments:
        tokens: the ids, integers [number].
        length: of a window.
        batch_size: windows in a batch.
        per_epoch: batches that are counted as an epoch; each epoch has other ones.
        seed: decides where the windows lie.
        total: batches in all, after which even an epoch ends; None for no end.

    Raises ValueError for fewer tokens than one window and the id after it.

    >>> batches = TokenBatches(np.arange(100), length=4, batch_size=2, per_epoch=10, seed=0)
    >>> inputs, targets = batches.batch(7)
    >>> inputs.shape, bool((targets.data == inputs.data + 1).all())
    ((2, 4), True)
    """

    def __init__(
        self,
        tokens: Array,
        length: int,
        batch_size: int,
        per_epoch: int,
        seed: int = 0,
        total: int | None = None,
    ) -> None:
        check_length("TokenBatches", tokens, length)
        self.tokens, self.length, self.batch_size = tokens, length, batch_size
        self.per_epoch, self.seed, self.total = per_epoch, seed, total

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return self.per_epoch

    def epoch_length(self, epoch: int) -> int:
        """The number of batches in one epoch, of which the last may have fewer."""
        if self.total is None:
            return self.per_epoch
        return min(max(0, self.total - epoch * self.per_epoch), self.per_epoch)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of an epoch, from batch number `start` on; all are counted from 0."""
        for place in range(start, self.epoch_length(epoch)):
            yield self.batch(epoch * self.per_epoch + place)

    def batch(self, number: int) -> tuple[Tensor, Tensor]:
        """A batch by its number, from 0."""
        bits = random_bits(self.seed, WINDOWS, number, np.arange(self.batch_size))
        # The share by which a remainder of 64 bits favours early places is beyond measure.
        places = (bits % np.uint64(len(self.tokens) - self.length)).astype(np.int64)
        return windows(self.tokens, places, self.length)


class TokenWindows:
    """Windows spread evenly over a text, the same each time, to judge a model by.

    Arguments:
        tokens, length: as for `TokenBatches`.
        count: how many windows at most; they overlap in nothing.
        batch_size: windows in a batch; the last may have fewer.

    >>> [inputs.shape for inputs, _ in TokenWindows(np.arange(100), 4, count=5, batch_size=2)]
    [(2, 4), (2, 4), (1, 4)]
    """

    def __init__(self, tokens: Array, length: int, count: int, batch_size: int) -> None:
        check_length("TokenWindows", tokens, length)
        last = len(tokens) - length - 1
        count = min(count, last // length + 1)
        self.tokens, self.length, self.batch_size = tokens, length, batch_size
        self.places = np.linspace(0, last, count).astype(np.int64)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for first in range(0, len(self.places), self.batch_size):
            places = self.places[first : first + self.batch_size]
            yield windows(self.tokens, places, self.length)


def windows(tokens: Array, places: Array, length: int) -> tuple[Tensor, Tensor]:
    """(inputs, targets), int64 [len(places), length], of windows that begin at some places."""
    found = tokens[places[:, None] + np.arange(length + 1)].astype(np.int64)
    return Tensor(found[:, :-1].copy()), Tensor(found[:, 1:].copy())


def check_length(who: str, tokens: Array, length: int) -> None:
    if len(tokens) <= length:
        raise ValueError(
            f"{who}: {len(tokens):,} tokens hold no window of {length} and the token after it; "
            "give a longer text, or a shorter context"
        )

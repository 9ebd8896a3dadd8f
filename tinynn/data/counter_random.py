"""Random numbers that are functions of where they are used, not of how many were drawn before.

Splitting, shuffling and augmentation are functions of (seed, epoch, sample), so that a prefetching
thread, a resumed run and a run that never stopped all see the same numbers, whatever the batches.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# What the numbers are for: two purposes never share them.
SPLIT, SHUFFLE, AUGMENT, WINDOWS = range(4)

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def random_bits(seed: int, *counters: int | Array) -> Array:
    """64 random bits (uint64) for each element of the counters' common shape, at least 1-d.

    Each counter is mixed in turn into the seed's state by SplitMix64 (Steele, Lea, Flood, "Fast
    splittable pseudorandom number generators", OOPSLA 2014).

    Raises:
        ValueError: a seed outside of 0 to 2**64 - 1.
    """
    if not 0 <= operator.index(seed) < 2**64:
        raise ValueError(f"seed: got {seed}, expected 0 to 2**64 - 1")
    state = _mix(np.array([seed], np.uint64))
    for counter in counters:
        state = _mix(state + np.asarray(counter).astype(np.uint64))
    return state


def uniform(seed: int, *counters: int | Array) -> Array:
    """Numbers in [0, 1), float64, for counters as in `random_bits`.

    >>> uniform(0, AUGMENT, 3, np.arange(1000)).mean().round(1)
    np.float64(0.5)
    """
    return (random_bits(seed, *counters) >> np.uint64(11)) * 2.0**-53


def permutation(count: int, seed: int, *counters: int) -> Array:
    """The numbers 0 to count - 1 (int64) in a random order: sorted by random keys.

    >>> bool((np.sort(permutation(100, 7)) == np.arange(100)).all())
    True
    """
    return np.argsort(random_bits(seed, *counters, np.arange(count)), kind="stable")


def _mix(state: Array) -> Array:
    state = state + _GOLDEN  # uint64 wraps around, as it should
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Array = state ^ (state >> np.uint64(31))
    return mixed

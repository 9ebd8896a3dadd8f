"""Arrays for samples: random values of a dtype, in memory layouts that hypothesis draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from math import ceil, floor, prod
from typing import Any

import numpy as np
from hypothesis import Phase, settings
from hypothesis import strategies as st

Array = np.ndarray[Any, Any]


def _strided(array: Array) -> Array:
    return np.repeat(array, 2, axis=-1)[..., ::2] if array.ndim else array


def _reversed(array: Array) -> Array:
    backwards = (slice(None, None, -1),) * array.ndim
    return array[backwards].copy()[backwards] if array.ndim else array


def _expanded(array: Array) -> Array:
    if not array.ndim or not array.size:
        return array
    return np.broadcast_to(array[:1], array.shape)


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "contiguous": lambda array: array,
    "fortran": lambda array: np.array(array, order="F"),
    "strided": _strided,
    "reversed": _reversed,
    "expanded": _expanded,
}


class Maker:
    """Makes the arrays of samples: `make(3, 4)` is a random array of shape (3, 4).

    Every array gets the next of the given layouts and dtypes, over and over.
    """

    def __init__(
        self,
        seed: int = 0,
        dtypes: str | Sequence[str] = "float64",
        layouts: Sequence[str] = ("contiguous",),
    ) -> None:
        self.random = np.random.default_rng(seed)
        self.dtypes = cycle([dtypes] if isinstance(dtypes, str) else dtypes)
        self.layouts = cycle(layouts)

    def __call__(
        self,
        *shape: int,
        low: float = -2.0,
        high: float = 2.0,
        avoid: Sequence[float] = (),
        distinct: bool = False,
        dtype: str | None = None,
    ) -> Array:
        """Random numbers between low and high.

        Arguments:
            avoid: no float comes closer than 0.1 to these, and no integer is one.
            distinct: no two floats are closer than (high - low) / (2 * their number).
            dtype: overrides the one that the test is run with.
        """
        kind = np.dtype(dtype or next(self.dtypes))
        count = prod(shape)
        if kind.kind == "b":
            values = self.random.random(count) < 0.5
        elif kind.kind in "iu":
            first = ceil(max(low, 0) if kind.kind == "u" else low)
            values = self.random.integers(first, max(first, floor(high)) + 1, count)
            for point in avoid:
                values[values == point] = point + 1 if point + 1 <= high else point - 1
            if distinct:
                values = first + self.random.permutation(count)
        else:
            parts = (
                self.random.permutation(count) if distinct else self.random.random(count) * count
            )
            values = low + (high - low) * (parts + 0.25) / (count + 0.5)
            for point in avoid:
                beside = point + 0.1 if point + 0.1 <= high else point - 0.1
                values = np.where(np.abs(values - point) < 0.1, beside, values)
        array = values.astype(kind).reshape(shape)
        layout = next(self.layouts)
        return LAYOUTS["contiguous" if distinct and layout == "expanded" else layout](array)

    def indices(self, *shape: int, below: int, low: int = 0) -> Array:
        """Random integers in low <= i < below, as int64."""
        return np.asarray(self.random.integers(low, below, shape))

    def mask(self, *shape: int) -> Array:
        """Random bools."""
        return np.asarray(self.random.random(shape) < 0.5)


def examples(count: int) -> settings:
    """A few examples in the quick profile, more in proportion in a thorough one.

    A failing test names the sample, so there is nothing to shrink but the seed.
    """
    scaled = max(count, count * settings().max_examples // 20)
    return settings(max_examples=scaled, phases=[Phase.generate])


def makers(*dtypes: str) -> st.SearchStrategy[Maker]:
    """Makers of these dtypes in turn, with seeds and layouts drawn by hypothesis."""
    return st.builds(
        Maker,
        seed=st.integers(0, 2**16),
        dtypes=st.just(dtypes),
        layouts=st.lists(st.sampled_from(list(LAYOUTS)), min_size=1, max_size=3),
    )

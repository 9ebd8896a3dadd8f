"""The cache that texts need, made if there is memory for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tinynn.backend.dtypes import as_dtype
from tinynn.inference import KVCache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinynn.generation.requests import Options
    from tinynn.models import Transformer

BLOCK = 16


def cache_for(model: Transformer, lengths: Sequence[int], settings: Options) -> KVCache:
    """A cache for as many texts as are generated side by side, each as long as it may become.

    Arguments:
        model: what it is for.
        lengths: of each text, in tokens.
        settings: how many are generated side by side, in what pieces, and what is kept.

    MemoryError where that is more than there is.
    """
    config = model.config
    # All layers give back what has left the window only if all have one.
    window = config.window if config.window_from == 0 else None
    positions = sorted((_positions(length, window, settings) for length in lengths), reverse=True)
    together = max(settings.batch_size, settings.n)
    capacity = sum(positions[:together])
    dtype = as_dtype(settings.cache_dtype)
    vectors = 2 * config.num_layers * config.num_kv_heads * capacity
    size = vectors * (config.head_dim * dtype.itemsize + (4 if dtype.name == "int8" else 0))
    free = _free_memory()
    if model.device.type == "cpu" and free is not None and size > free:
        raise MemoryError(
            f"generate: a cache of {capacity:,} positions takes {size / 1e6:,.0f} MB, "
            f"{free / 1e6:,.0f} MB are free; ask for fewer tokens, a smaller batch_size or "
            'cache_dtype="int8"'
        )
    return KVCache(
        config.num_layers,
        config.num_kv_heads,
        config.head_dim,
        BLOCK,
        dtype,
        model.device,
        capacity,
        window=window,
    )


def _positions(length: int, window: int | None, settings: Options) -> int:
    """How many positions a text may hold at once, in whole blocks and one to copy."""
    length += settings.drafts
    if window is not None:
        length = min(length, window + settings.chunk + settings.drafts + BLOCK)
    return (-(-length // BLOCK) + 1) * BLOCK


def _free_memory() -> int | None:
    """Bytes that a program can have without others being driven out; None where unknown."""
    try:
        with open("/proc/meminfo") as file:
            lines = dict(line.split(":", 1) for line in file)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        try:
            return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError):
            return None

"""Writing new keys and values into the blocks of a cache."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynn.backend.devices import array_module
from tinynn.backend.reference.precision import widened
from tinynn.backend.reference.rotary import rotated

Array = Any

LARGEST = 127


def append_kv(
    key: Array,
    value: Array,
    slots: Array,
    cos: Array | None,
    sin: Array | None,
    keys: Array,
    values: Array,
    key_scales: Array | None,
    value_scales: Array | None,
    *,
    interleaved: bool,
) -> None:
    """keys[block, :, offset] = key turned by its position; values[block, :, offset] = value.

    Arguments:
        key, value: [tokens, kv_heads, head_dim] float.
        slots: [tokens] int64, block * block_size + offset; negative for a token that is not stored.
        cos, sin: [tokens, R / 2] float32, by which keys are turned as `rope` turns them; or None.
        keys, values: [blocks, kv_heads, block_size, head_dim] of a float dtype or int8, changed.
        key_scales, value_scales: [blocks, kv_heads, block_size] float32, changed, for int8; else
            None. A vector is stored as rint(x / scale), with scale = max |x| / 127.
        interleaved: which numbers of a key are a pair, as in `rope`.
    """
    kept = slots >= 0
    slots, key, value = slots[kept], widened(key[kept]), widened(value[kept])
    if cos is not None and sin is not None:
        cos, sin = widened(cos[kept])[:, None], widened(sin[kept])[:, None]
        key = rotated(key, cos, sin, interleaved)
    _store(key, slots, keys, key_scales)
    _store(value, slots, values, value_scales)


def _store(x: Array, slots: Array, cache: Array, scales: Array | None) -> None:
    """cache[slots] = x, where x is [tokens, kv_heads, head_dim]."""
    size = cache.shape[2]
    blocks, offsets = slots // size, slots % size
    if scales is not None:
        x, scale = quantized(x)
        scales[blocks, :, offsets] = scale.astype(scales.dtype)
    cache[blocks, :, offsets] = x.astype(cache.dtype)


def quantized(x: Array) -> tuple[Array, Array]:
    """(whole numbers from -127 to 127, scale), each vector of the last axis with its own scale.

    The scale of a vector of zeros is 0.
    """
    xp = array_module(x)
    scale = abs(x).max(axis=-1) / np.float32(LARGEST)
    divisor = xp.where(scale == 0, xp.inf, scale).astype(x.dtype)[..., None]
    # Where numbers are so small that the scale is rounded, the quotient may be above 127.
    return xp.clip(xp.rint(x / divisor), -LARGEST, LARGEST), scale


append_kv.mutates = (5, 6, 7, 8)  # type: ignore[attr-defined]

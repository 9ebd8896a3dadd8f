"""Writing new keys and values into a cache: turned, quantized and stored in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numba.extending import register_jitable

from tinynn.kernels.cpu.arrays import Array, rows, stored
from tinynn.kernels.cpu.compiler import CONTRACT, twins
from tinynn.kernels.cpu.elementary import ROUNDER, f32, i32
from tinynn.kernels.cpu.narrowing import narrow, widen
from tinynn.kernels.cpu.rotary import takes, turn

_GRAIN = 1 << 16

_LARGEST = f32(127)
_SIZE_BITS = i32(0x7FFFFFFF)


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
) -> Any:
    """keys[block, :, offset] = key, turned, and the same for values; see the reference."""
    if key.dtype == np.float64 or not takes(key, value):
        return NotImplemented
    if not (keys.flags.c_contiguous and values.flags.c_contiguous):
        return NotImplemented
    if keys.dtype != np.int8 and (keys.dtype == np.float64 or not takes(keys, values)):
        return NotImplemented
    for table in (cos, sin, key_scales, value_scales):
        if table is not None and not (table.dtype == np.float32 and table.flags.c_contiguous):
            return NotImplemented
    _append(
        2 * key.size,
        rows(stored(key)),
        rows(stored(value)),
        slots,
        cos,
        sin,
        rows(stored(keys)),
        rows(stored(values)),
        None if key_scales is None else key_scales.reshape(-1),
        None if value_scales is None else value_scales.reshape(-1),
        key.shape[1],
        keys.shape[2],
        interleaved,
    )
    return None


@register_jitable(fastmath=CONTRACT, forceinline=True)
def _store(x, row, cache, target, scales):
    """cache[target] = x[row], as whole numbers where there are scales."""
    width = x.shape[1]
    if scales is None:
        for i in range(width):
            cache[target, i] = narrow(widen(x[row, i]), cache)
    else:
        # The largest size, as bits: unlike a maximum of floats, one of integers is vectorised.
        top = i32(0)
        for i in range(width):
            top = max(top, i32(f32(widen(x[row, i])).view(i32) & _SIZE_BITS))
        scale = f32(i32(top).view(f32) / _LARGEST)
        scales[target] = scale
        divisor = f32(np.inf) if scale == f32(0) else scale
        for i in range(width):
            quotient = min(max(widen(x[row, i]) / divisor, -_LARGEST), _LARGEST)
            cache[target, i] = np.int8((quotient + ROUNDER) - ROUNDER)


@twins(_GRAIN, "keys", "values", "key_scales", "value_scales")
def _append(
    key, value, slots, cos, sin, keys, values, key_scales, value_scales, heads, size, interleaved
):
    for token in prange(slots.shape[0]):
        slot = slots[token]
        if slot >= 0:
            block = slot // size
            room = np.empty((1, key.shape[1]), f32)
            for head in range(heads):
                row = token * heads + head
                target = (block * heads + head) * size + (slot - block * size)
                if cos is None:
                    _store(key, row, keys, target, key_scales)
                else:
                    turn(key, row, cos, sin, token, interleaved, room, 0)
                    _store(room, 0, keys, target, key_scales)
                _store(value, row, values, target, value_scales)

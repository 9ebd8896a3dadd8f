"""Writing new keys and values into a cache: turned, quantized and stored in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinynn.kernels.cuda import compiler
from tinynn.kernels.cuda.arrays import TYPES, Array

_SOURCE = "kv_cache.cu"
_GIVEN = {name: TYPES[name] for name in ("float32", "float16", "bfloat16")}
_STORED = {**_GIVEN, "int8": "int8_t"}
INSTANTIATIONS = [
    (_SOURCE, f"append_kv<{given}, {stored}>")
    for given in _GIVEN.values()
    for stored in _STORED.values()
]
_WARPS = 4
_WIDEST = 256


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
    tables, scales = (cos, sin), (key_scales, value_scales)
    if not _takes(key, value, slots, tables, keys, values, scales):
        return NotImplemented
    tokens, heads, width = key.shape
    if not key.size:
        return None
    types = f"{_GIVEN[key.dtype.name]}, {_STORED[keys.dtype.name]}"
    compiler.load(_SOURCE, f"append_kv<{types}>")(
        (-(-2 * tokens * heads // _WARPS),),
        (32 * _WARPS,),
        (
            key,
            value,
            slots,
            cos,
            sin,
            keys,
            values,
            key_scales,
            value_scales,
            np.int64(tokens),
            np.int32(heads),
            np.int32(width),
            np.int32(0 if cos is None else cos.shape[-1]),
            np.int32(keys.shape[2].bit_length() - 1),
            np.bool_(interleaved),
        ),
    )
    return None


def _takes(
    key: Array,
    value: Array,
    slots: Array,
    tables: tuple[Array | None, Array | None],
    keys: Array,
    values: Array,
    scales: tuple[Array | None, Array | None],
) -> bool:
    """Whether the kernel can compute with these arrays."""
    size = keys.shape[2]
    if key.dtype.name not in _GIVEN or value.dtype != key.dtype:
        return False
    if keys.dtype.name not in _STORED or values.dtype != keys.dtype or slots.dtype != np.int64:
        return False
    if key.shape[2] > _WIDEST or size & (size - 1) or (tables[0] is None) != (tables[1] is None):
        return False
    if any((scale is None) == (keys.dtype == np.int8) for scale in scales):
        return False
    floats = [array for array in (*tables, *scales) if array is not None]
    given = (key, value, slots, keys, values, *floats)
    return all(array.dtype == np.float32 for array in floats) and all(
        array.flags.c_contiguous for array in given
    )

"""Philox4x32-10: four random words from a counter and a key.

Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011).
"""

from __future__ import annotations

import numpy as np
from numba.extending import register_jitable

u32, u64 = np.uint32, np.uint64

_MULTIPLIER_0, _MULTIPLIER_1 = u64(0xD2511F53), u64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = u32(0x9E3779B9), u32(0xBB67AE85)
_WORD = u64(32)


@register_jitable(forceinline=True)
def philox(c0, c1, c2, c3, k0, k1):
    for _ in range(10):
        product0, product1 = _MULTIPLIER_0 * u64(c0), _MULTIPLIER_1 * u64(c2)
        c0, c2 = u32(u32(product1 >> _WORD) ^ c1 ^ k0), u32(u32(product0 >> _WORD) ^ c3 ^ k1)
        c1, c3 = u32(product1), u32(product0)
        k0, k1 = u32(k0 + _WEYL_0), u32(k1 + _WEYL_1)
    return c0, c1, c2, c3

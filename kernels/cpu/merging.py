"""Attention over a set of keys from attention over its parts, in one pass over the results."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import prange

from tinynn.kernels.cpu.arrays import Array, uniform
from tinynn.kernels.cpu.compiler import twins
from tinynn.kernels.cpu.elementary import exp, like

_GRAIN = 1 << 17


def merge_attention(outs: Array, lses: Array, *, out: Array | None = None) -> Any:
    """The attention over all keys; see the reference of the same name."""
    if not uniform(outs, lses, out) or not outs.shape[0]:
        return NotImplemented
    parts, *rows, width = outs.shape
    result = np.empty(outs.shape[1:], outs.dtype, like=outs) if out is None else out
    lse = np.empty(rows, outs.dtype, like=outs)
    _merge(
        outs.size,
        outs.reshape(parts, lse.size, width),
        lses.reshape(parts, lse.size),
        result.reshape(lse.size, width),
        lse.reshape(lse.size),
    )
    return result, lse


@twins(_GRAIN, "out", "lse")
def _merge(outs, lses, out, lse):
    parts, rows, width = outs.shape
    for row in prange(rows):
        top = lses[0, row]
        for part in range(1, parts):
            top = max(top, lses[part, row])
        out[row] = 0
        lse[row] = -np.inf
        if top > -np.inf:
            whole = like(lses, 0)
            for part in range(parts):
                whole += exp(lses[part, row] - top)
            lse[row] = top + like(lses, math.log(whole))
            for part in range(parts):
                # An empty part's result may be anything.
                if lses[part, row] > -np.inf:
                    share = exp(lses[part, row] - top) / whole
                    for c in range(width):
                        out[row, c] += share * outs[part, row, c]

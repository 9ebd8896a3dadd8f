"""Sums and maxima over a row, written so that they are vectorised."""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

from tinynn.kernels.cpu.compiler import REORDER
from tinynn.kernels.cpu.elementary import f32, i32, like

_SIZE_BITS = i32(0x7FFFFFFF)


@register_jitable(fastmath=REORDER, forceinline=True)
def total(x):
    """The sum of a row, in an order that only the length of the row decides."""
    result = like(x, 0)
    for j in range(x.shape[0]):
        result += x[j]
    return result


def highest(x):
    """The largest number of a row; -inf for an empty one. A NaN is passed over or returned."""


@overload(highest, jit_options={"forceinline": True})
def _highest(x):
    if x.dtype == types.float64:

        def implementation(x):
            result = -np.inf
            for j in range(x.shape[0]):
                result = x[j] if x[j] > result else result
            return result

        return implementation

    # The bits of a float, with all but the sign inverted where it is negative, are an integer that
    # sorts as the float does. A maximum of integers is vectorised; of floats it is not, for NaN.
    sign, others = i32(31), i32(0x7FFFFFFF)
    lowest = i32(-0x7F800001)  # -inf in that form

    def sortable(x):
        result = lowest
        for j in range(x.shape[0]):
            bits = f32(x[j]).view(i32)
            key = i32(bits ^ ((bits >> sign) & others))
            result = key if key > result else result
        return i32(result ^ ((result >> sign) & others)).view(f32)

    return sortable


@register_jitable(forceinline=True)
def magnitude(x):
    """The largest absolute value of a row of float32; NaN where it holds one."""
    # As bits, for a maximum of integers is vectorised, and one of floats is not.
    top = i32(0)
    for j in range(x.shape[0]):
        top = max(top, i32(f32(x[j]).view(i32) & _SIZE_BITS))
    return i32(top).view(f32)

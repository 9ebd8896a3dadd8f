"""16-bit floats in compiled code, which knows them as their bits (see `arrays.stored`).

A number is widened to float32 when it is read, and rounded to the nearest, ties to even, when it
is written. All is arithmetic on integers without branches, so that loops are vectorised.
"""

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

f32, i16, u16, u32 = np.float32, np.int16, np.uint16, np.uint32

_OPTIONS = {"forceinline": True}


def widen(x):
    """A number from an array as the float that it is computed with."""


def narrow(x, array):
    """A float as a number that the array holds."""


@overload(widen, jit_options=_OPTIONS)
def _widen(x):
    if x == types.uint16:
        return lambda x: u32(u32(x) << u32(16)).view(f32)
    if x == types.int16:
        return _from_float16
    return lambda x: x


@overload(narrow, jit_options=_OPTIONS)
def _narrow(x, array):
    if array.dtype == types.uint16:
        return _to_bfloat16
    if array.dtype == types.int16:
        return _to_float16
    return lambda x, array: x


_SIGN, _INFINITY = u32(0x80000000), u32(0x7F800000)
_QUIET = u32(0x00400000)
# As float32: from where on float16 is infinite, below which it is subnormal, and the number whose
# last place is that of a subnormal float16.
_HIGHEST, _LOWEST, _HALF = u32((127 + 16) << 23), u32((127 - 14) << 23), u32((127 - 1) << 23)
_BIAS = u32((127 - 15) << 23)


def _to_bfloat16(x, array):
    bits = f32(x).view(u32)
    odd = u32(u32(bits >> u32(16)) & u32(1))
    rounded = u32(u32(bits + u32(0x7FFF) + odd) >> u32(16))
    # Rounding could turn the bits of a NaN into those of infinity.
    return u16(u32(u32(bits | _QUIET) >> u32(16)) if x != x else rounded)


def _to_float16(x, array):
    bits = f32(x).view(u32)
    sign = u32(bits & _SIGN)
    size = u32(bits ^ sign)
    odd = u32(u32(size >> u32(13)) & u32(1))
    normal = u32(u32(size - _BIAS + u32(0xFFF) + odd) >> u32(13))
    small = u32(f32(u32(size).view(f32) + f32(0.5)).view(u32) - _HALF)
    result = small if size < _LOWEST else normal
    result = u32(0x7C00) if size >= _HIGHEST else result
    result = u32(0x7E00) if size > _INFINITY else result
    return i16(u16(result | u32(sign >> u32(16))))


def _from_float16(x):
    bits = u32(u16(x))
    sign = u32(u32(bits & u32(0x8000)) << u32(16))
    shifted = u32(u32(bits & u32(0x7FFF)) << u32(13))
    normal = u32(shifted + _BIAS)
    # Infinity and NaN keep the highest exponent; a subnormal is a difference of normal numbers.
    special = u32(normal + _BIAS)
    small = f32(u32(normal + u32(1 << 23)).view(f32) - f32(2.0**-14)).view(u32)
    result = special if shifted >= u32(0x0F800000) else normal
    result = small if shifted < u32(0x00800000) else result
    return u32(result | sign).view(f32)

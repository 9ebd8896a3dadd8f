"""Exponential, tanh, sigmoid and erf, written so that a loop over them is vectorised.

The C library's functions are called for one number at a time. In float32 these are polynomials
without branches, which the compiler turns into vector instructions; in float64, used for checks
rather than for speed, they are the C library's. The coefficients are minimax fits (Remez' exchange
algorithm, relative error), so that the rounding of the arithmetic decides the error. NaN gives NaN.
"""

from __future__ import annotations

import math

import numpy as np
from numba import types
from numba.extending import overload

from tinynn.kernels.cpu.compiler import CONTRACT

f32, i32 = np.float32, np.int32
# Adding 1.5 * 2^23 rounds a float32 to an integer, ties to even, and leaves it in the low bits.
ROUNDER = f32(12582912.0)
# Without being inlined a function is a call, and the loop around a call is not vectorised.
_OPTIONS = {"fastmath": CONTRACT, "forceinline": True}


def like(x, value):
    """`value` in the dtype of x: a bare constant would turn float32 arithmetic into float64."""
    return x.dtype.type(value)


@overload(like, inline="always")
def _like(x, value):
    dtype = getattr(x, "dtype", x)  # of an array, of its elements
    return lambda x, value: dtype(value)


def exp(x):
    """e^x; float32 within 1 ulp (unit in the last place), subnormal results included.

    x = n ln 2 + r with |r| <= ln(2) / 2, and e^x = 2^n e^r with a polynomial for e^r. The power of
    two is applied in two halves, so that results next to overflow and below the smallest normal
    number are right.
    """


@overload(exp, jit_options=_OPTIONS)
def _exp(x):
    if x == types.float64:
        return lambda x: math.exp(x)
    lowest, highest = f32(-104.0), f32(89.0)  # beyond them the result is 0 or infinity
    log2_e = f32(1.4426950408889634)
    ln2_high, ln2_low = f32(0.693359375), f32(-2.12194440e-4)  # n * ln2_high is exact
    rounder, rounder_bits = ROUNDER, i32(0x4B400000)
    one, bias, mantissa = f32(1.0), i32(127), i32(23)
    c2, c3, c4 = f32(0.499999934125), f32(0.166665201079), f32(0.0416683941975)
    c5, c6 = f32(0.00836878040701), f32(0.00138144679057)

    def implementation(x):
        bounded = lowest if x < lowest else x  # NaN passes both
        bounded = highest if bounded > highest else bounded
        shifted = bounded * log2_e + rounder
        rounded = shifted - rounder
        r = (bounded - rounded * ln2_high) - rounded * ln2_low
        p = (((c6 * r + c5) * r + c4) * r + c3) * r + c2
        p = p * (r * r) + r + one
        n = i32(f32(shifted).view(i32) - rounder_bits)
        half = i32(n >> i32(1))
        rest = i32(n - half)
        first = i32((half + bias) << mantissa).view(f32)  # 2 ** half
        second = i32((rest + bias) << mantissa).view(f32)
        return p * first * second

    return implementation


def sigmoid(x):
    """1 / (1 + e^-x); float32 within 2 ulp of it where the result is a normal number."""


@overload(sigmoid, jit_options=_OPTIONS)
def _sigmoid(x):
    def implementation(x):
        one = like(x, 1)
        return one / (one + exp(-x))

    return implementation


def tanh(x):
    """Hyperbolic tangent; float32 within 2 ulp.

    |x| < 0.625: an odd polynomial; beyond: 1 - 2 / (e^2|x| + 1) with the sign of x.
    """


@overload(tanh, jit_options=_OPTIONS)
def _tanh(x):
    if x == types.float64:
        return lambda x: math.tanh(x)
    one, two, bound = f32(1.0), f32(2.0), f32(0.625)
    c1, c2, c3 = f32(-0.333332839254), f32(0.133314912883), f32(-0.0537434981524)
    c4, c5 = f32(0.0206505874619), f32(-0.00571704519203)

    def implementation(x):
        z = x * x
        near = x + x * z * ((((c5 * z + c4) * z + c3) * z + c2) * z + c1)
        size = abs(x)
        far = one - two / (exp(two * size) + one)
        far = -far if x < f32(0.0) else far
        return near if size < bound else far

    return implementation


def erf(x):
    """The error function; float32 within 2 ulp.

    |x| < 0.93: an odd polynomial; beyond: 1 - e^(-|x| q(|x|)) with the sign of x, where the
    polynomial q fits -log(erfc(t)) / t up to t = 4, after which the result is 1.
    """


@overload(erf, jit_options=_OPTIONS)
def _erf(x):
    if x == types.float64:
        return lambda x: math.erf(x)
    one, bound, last = f32(1.0), f32(0.93), f32(4.0)
    a0, a1, a2 = f32(0.128379147691), f32(-0.376124811003), f32(0.112816825431)
    a3, a4, a5 = f32(-0.0267617199335), f32(0.00498594068136), f32(-0.000595374206376)
    b0, b1, b2 = f32(1.1285111485), f32(0.635729121207), f32(0.105247672883)
    b3, b4, b5 = f32(-0.0228809161336), f32(0.00321214398006), f32(-0.000213644915021)

    def implementation(x):
        z = x * x
        near = x + x * (((((a5 * z + a4) * z + a3) * z + a2) * z + a1) * z + a0)
        size = abs(x)
        t = last if size > last else size
        far = one - exp(-t * (((((b5 * t + b4) * t + b3) * t + b2) * t + b1) * t + b0))
        far = -far if x < f32(0.0) else far
        return near if size < bound else far

    return implementation

"""The error function, which array modules lack."""

from __future__ import annotations

from typing import Any

from tinynn.backend.devices import array_module
from tinynn.backend.reference.precision import narrowed, widened

Array = Any

# Minimax fits (Remez' exchange algorithm) with an error below 1e-16 of erf.
# erf(x) / x as a polynomial of x^2, for |x| < 0.85
_NEAR = (
    1.12837916709551256,
    -0.376126389031833173,
    0.112837916709313047,
    -0.0268661706400296752,
    0.00522397756925615951,
    -0.000854832340346988753,
    0.000120551871131891086,
    -0.0000149218592737908976,
    1.63983933305780822e-6,
    -1.56923839558433892e-7,
    1.06626516144033576e-8,
)
# (1 + 2 x) e^(x^2) erfc(x) as a polynomial of (x - 3) / (x + 3), for 0.85 <= x <= 6.2
# (the variables of Shepherd and Laframboise, Mathematics of Computation 36, 1981)
_FAR = (
    1.25300805826975649,
    -0.135621106123757037,
    -0.0475622943612668127,
    0.129645158149701859,
    -0.119273672152847935,
    0.0683079563788627436,
    -0.0237708466500161588,
    0.0025285731018704509,
    0.00188850239679447997,
    -0.000774018962529208217,
    -0.0000842815816295158496,
    0.000162988434622898641,
    0.0000441123952495107268,
)


def erf(x: Array, *, out: Array | None = None) -> Array:
    """The error function, 2 / sqrt(pi) * integral of e^(-t^2) from 0 to x, within 2 ulp.

    x: float, any shape; returns the same shape and dtype.
    """
    xp, wide = array_module(x), widened(x)
    size = xp.minimum(xp.abs(wide), 6.2)  # erf(6.2) is 1 in float64; NaN stays NaN
    far = _polynomial(_FAR, (size - 3.0) / (size + 3.0))
    far = xp.copysign(1.0 - far * xp.exp(-size * size) / (1.0 + 2.0 * size), wide)
    small = xp.minimum(size, 0.85)
    near = wide * _polynomial(_NEAR, small * small)
    return narrowed(xp.where(size < 0.85, near, far), x, out)


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    result = x * 0.0 + coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        result = result * x + coefficient
    return result

"""Rotary position embedding: pairs of numbers turned by angles that grow with the position."""

from __future__ import annotations

from typing import Any

from tinynn.backend.devices import array_module
from tinynn.backend.reference.precision import narrowed, widened

Array = Any


def rope(x: Array, cos: Array, sin: Array, *, interleaved: bool, out: Array | None = None) -> Array:
    """Each pair (a, b) of a vector becomes (a cos - b sin, b cos + a sin).

    Arguments:
        x: [..., L, D] float.
        cos, sin: [L, R / 2] float, of the angle of each pair, with R <= D; or of any shape
            [..., L, R / 2] that broadcasts to x's leading axes. Numbers R to D - 1 of a vector stay
            as they are.
        interleaved: pair i is (2 i, 2 i + 1); else it is (i, i + R / 2).
    """
    wide = widened(x)
    return narrowed(rotated(wide, cos, sin, interleaved), x, out)


def rotated(x: Array, cos: Array, sin: Array, interleaved: bool) -> Array:
    """The same for an x that is computed with in its own dtype."""
    xp, half = array_module(x), cos.shape[-1]
    cos, sin = (table.astype(x.dtype, copy=False) for table in (cos, sin))
    pairs = x[..., : 2 * half]
    if interleaved:
        a, b = pairs[..., ::2], pairs[..., 1::2]
    else:
        a, b = pairs[..., :half], pairs[..., half:]
    turned = [a * cos - b * sin, b * cos + a * sin]
    if interleaved:
        turned = [xp.stack(turned, axis=-1).reshape(pairs.shape)]
    return xp.concatenate([*turned, x[..., 2 * half :]], axis=-1)

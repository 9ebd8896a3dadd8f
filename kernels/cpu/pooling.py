"""The largest number in each window of an image."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

import numpy as np
from numba import prange

from tinynn.kernels.cpu.arrays import Array, uniform
from tinynn.kernels.cpu.borders import bordered
from tinynn.kernels.cpu.compiler import Twins, twins
from tinynn.kernels.cpu.elementary import i32, like

_GRAIN = 1 << 17
Pair = tuple[int, int]


def max_pool2d(
    x: Array,
    *,
    window: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    size: Pair,
    out: Array | None = None,
) -> Any:
    """(the largest numbers, their places); see the reference of the same name."""
    if not uniform(x, out):
        return NotImplemented
    shape = (*x.shape[:2], *size)
    out = np.empty(shape, x.dtype, like=x) if out is None else out
    places = np.empty(shape, np.int32, like=x)
    planes = x.shape[0] * x.shape[1]
    sides, first = _edges(x.shape[2:], window, stride, padding, dilation, size)
    _choice(window, stride, dilation)(
        out.size * window[0] * window[1],
        x.reshape(planes, *x.shape[2:]),
        sides,
        *first,
        out.reshape(planes, *size),
        places.reshape(planes, *size),
    )
    return out, places


def max_pool2d_backward(g: Array, places: Array, *, size: Pair, out: Array | None = None) -> Any:
    """The gradient of x; see the reference of the same name."""
    if not (uniform(g, out) and places.flags.c_contiguous):
        return NotImplemented
    out = np.empty((*g.shape[:2], *size), g.dtype, like=g) if out is None else out
    planes, count = g.shape[0] * g.shape[1], g.shape[2] * g.shape[3]
    _scatter(
        out.size,
        g.reshape(planes, count),
        places.reshape(planes, count),
        out.reshape(planes, size[0] * size[1]),
    )
    return out


@lru_cache(maxsize=256)
def _edges(
    image: Pair, window: Pair, stride: Pair, padding: Pair, dilation: Pair, size: Pair
) -> tuple[tuple[int, int, int, int], list[Array]]:
    """The border that windows reach into; and the first row and column of each inside the image."""
    sides, first = [], []
    for d in (0, 1):
        start = np.arange(size[d], dtype=np.int32) * stride[d] - padding[d]
        end = (size[d] - 1) * stride[d] - padding[d] + dilation[d] * (window[d] - 1) + 1
        sides += [padding[d], max(end - image[d], 0)]
        first.append(np.where(start < 0, start % dilation[d], start).astype(np.int32))
    return tuple(sides), first  # type: ignore[return-value]


@cache
def _choice(window: Pair, stride: Pair, dilation: Pair) -> Twins:
    """Compiled for these numbers, so that the loop over outputs is vectorised."""
    (rows, columns), (step_y, step_x), (apart_y, apart_x) = window, stride, dilation

    @twins(_GRAIN, "out", "places")
    def choose_largest(x, sides, first_y, first_x, out, places):
        width = x.shape[2]
        for n in prange(x.shape[0]):
            plane = bordered(x[n : n + 1], sides, -np.inf)[0]
            for oy in range(out.shape[1]):
                top = oy * step_y
                for ox in range(out.shape[2]):
                    left = ox * step_x
                    best, place = like(x, -np.inf), i32(first_y[oy] * width + first_x[ox])
                    for i in range(rows):
                        for j in range(columns):
                            y, z = top + i * apart_y, left + j * apart_x
                            value = plane[y, z]
                            # As selections: a processor cannot foresee jumps that data decide.
                            chosen = (value > best) | (value != value)
                            here = i32((y - sides[0]) * width + z - sides[2])
                            best = value if chosen else best
                            place = here if chosen else place
                    out[n, oy, ox], places[n, oy, ox] = best, place

    return choose_largest


@twins(_GRAIN, "out")
def _scatter(g, places, out):
    for n in prange(g.shape[0]):
        out[n] = 0
        for i in range(g.shape[1]):
            out[n, places[n, i]] += g[n, i]

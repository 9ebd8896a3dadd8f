"""The 2-d convolution and its gradients, each a sum of tiles (see tiles.py).

A convolution is the product of the filters with a matrix that has a window of the image in each
row ("im2col"). That matrix is many times as large as the image; but its number in row q and column
k is x[corners[q] + places[k]], so that two short tables stand for it and it is never written.
With them, for each image,

    out[q, o]       = sum over k of  x[corners[q] + places[k]] * weight[k, o]
    d weight[k, o]  = sum over q of  x[places[k] + corners[q]] * d out[q, o]
    d x[corners[q] + places[k]]  +=  sum over o of  d out[o, q] * weight[o, k]

Stride, dilation and padding are matters of the tables and of a border around the image. The parts
that `groups` makes of the channels are treated as images of their own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import prange
from numba.extending import register_jitable

from tinynn.kernels.cpu.arrays import Array, uniform, whole_vectors
from tinynn.kernels.cpu.borders import bordered
from tinynn.kernels.cpu.compiler import twins
from tinynn.kernels.cpu.tiles import ROWS, add_products, transpose
from tinynn.kernels.cpu.vectors import add, copy, lanes, lanes_of, load, store

_GRAIN = 1 << 22  # multiplications
_BLOCK = 8  # images whose weight gradients are summed one after the other, see linear.py
_STRIP = 1024  # windows whose output gradients are transposed at a time

Pair = tuple[int, int]
Sides = tuple[int, int, int, int]


class _Windows(NamedTuple):
    """The windows of an image that has its border.

    Attributes:
        shape: how many there are, (rows, columns).
        bordered: (height, width) of the image with its border.
        corners: [Q], where each window begins.
        places: [K], where the elements of a window are from there, in all channels.
        tiled_corners, tiled_places: the same, repeated to fill whole tiles; what is computed for
            the repetitions is not used.
    """

    shape: Pair
    bordered: Pair
    corners: Array
    places: Array
    tiled_corners: Array
    tiled_places: Array


@lru_cache(maxsize=256)
def _windows(
    image: tuple[int, ...], window: Pair, stride: Pair, padding: Sides, dilation: Pair
) -> _Windows:
    """Of an image [C, H, W]."""
    above, below, left, right = padding
    height, width = bordered = above + image[1] + below, left + image[2] + right
    c = height * width * np.arange(image[0])
    i, j = (dilation[d] * np.arange(window[d]) for d in (0, 1))
    y, x = np.arange(0, height - i[-1], stride[0]), np.arange(0, width - j[-1], stride[1])
    corners = (y[:, None] * width + x).ravel()
    places = (c[:, None, None] + i[:, None] * width + j).ravel()
    return _Windows((y.size, x.size), bordered, corners, places, _tiled(corners), _tiled(places))


def _tiled(table: Array) -> Array:
    return np.resize(table, -(-table.size // ROWS) * ROWS)


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int,
    out: Array | None = None,
) -> Any:
    """The products of weight with every window of x; see the reference of the same name."""
    if not uniform(x, weight, bias, out):
        return NotImplemented
    outputs, _, *window = weight.shape
    images, each = _parts(x, groups), outputs // groups
    windows = _windows(images.shape[1:], tuple(window), stride, padding, dilation)
    if out is None:
        out = np.empty((x.shape[0], outputs, *windows.shape), x.dtype, like=x)
    if bias is None:
        bias = np.zeros(outputs, x.dtype, like=x)
    _convolve(
        out.size * windows.places.size,
        images,
        padding,
        windows.tiled_corners,
        windows.places,
        whole_vectors(weight.reshape(groups, each, -1).swapaxes(1, 2)),
        whole_vectors(bias.reshape(groups, each)),
        out.reshape(len(images), each, windows.corners.size),
    )
    return out


def conv2d_weight_gradient(
    g: Array,
    x: Array,
    *,
    window: Pair,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int,
    out: Array | None = None,
) -> Any:
    """The gradient of weight; see the reference of the same name."""
    if not uniform(g, x, out):
        return NotImplemented
    images, each = _parts(x, groups), g.shape[1] // groups
    windows = _windows(images.shape[1:], window, stride, padding, dilation)
    depth = windows.places.size
    blocks, lanes = max(-(-len(images) // _BLOCK), 1), lanes_of(g.itemsize)
    shape = (blocks, groups, windows.tiled_places.size, -(-each // lanes) * lanes)
    sums = np.zeros(shape, g.dtype, like=g)
    _correlate(
        g.size * depth,
        g.reshape(len(images), each, windows.corners.size),
        images,
        padding,
        windows.corners,
        windows.tiled_places,
        sums,
    )
    if out is None:
        out = np.empty((g.shape[1], images.shape[1], *window), g.dtype, like=g)
    total = sums[0] if blocks == 1 else sums.sum(axis=0)
    out.reshape(groups, each, depth)[...] = total[:, :depth, :each].swapaxes(1, 2)
    return out


def conv2d_input_gradient(
    g: Array,
    weight: Array,
    *,
    size: Pair,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int,
    out: Array | None = None,
) -> Any:
    """The gradient of x; see the reference of the same name."""
    if not uniform(g, weight, out):
        return NotImplemented
    outputs, depth, *window = weight.shape
    each, count = outputs // groups, g.shape[2] * g.shape[3]
    # In an image with the channels last, such a row of a window is one stretch of memory.
    row = window[1] if dilation[1] == 1 else 1
    windows = _windows((1, *size), tuple(window), stride, padding, dilation)
    filters = weight.reshape(groups * each, depth, -1, row).transpose(0, 2, 3, 1)
    if out is None:
        out = np.empty((g.shape[0], depth * groups, *size), g.dtype, like=g)
    _scatter(
        g.size * weight[0].size,
        g.reshape(len(g) * groups, each, count),
        whole_vectors(filters.reshape(groups, each, -1, row * depth)),
        _tiled(np.arange(count)),
        np.arange(each) * count,
        windows.corners * depth,
        windows.places[::row] * depth,
        windows.bordered,
        padding,
        _parts(out, groups),
    )
    return out


def _parts(images: Array, groups: int) -> Array:
    """[N, C, H, W] -> [N * groups, C / groups, H, W]"""
    n, channels, *size = images.shape
    return images.reshape(n * groups, channels // groups, *size)


@twins(_GRAIN, "out")
def _convolve(x, padding, corners, places, filters, bias, out):
    """Of x [images, C, H, W], filters [groups, K, O], bias [groups, O]: out [images, O, Q]."""
    groups, depth, width = filters.shape
    images, outputs, count = out.shape
    lane = lanes(x)
    for n in prange(images):
        image, group = bordered(x[n], padding, 0), n % groups
        own, tile = filters[group], np.empty(ROWS * lane, x.dtype)
        for o in range(0, width, lane):
            shift = load(bias, group * width + o)
            for q in range(0, count, ROWS):
                for r in range(ROWS):
                    store(tile, r * lane, shift)
                add_products(image, corners, q, places, 0, depth, own, o, tile, 0, lane)
                transpose(tile, 0, lane, tile)
                for i in range(min(lane, outputs - o)):
                    place = (n * outputs + o + i) * count + q
                    if q + ROWS <= count:
                        copy(tile, i * ROWS, out, place, ROWS)
                    else:
                        copy(tile, i * ROWS, out, place, count - q)


@twins(_GRAIN, "sums")
def _correlate(g, x, padding, corners, places, sums):
    """Of g [images, O, Q] and x [images, C, H, W], added to sums [blocks, groups, K, O]."""
    groups, depth, width = sums.shape[1:]
    count, lane = corners.size, lanes(x)
    for block in prange(sums.shape[0]):
        columns = np.zeros((min(count, _STRIP), width), g.dtype)
        for n in range(block * _BLOCK, min((block + 1) * _BLOCK, x.shape[0])):
            image, own, total = bordered(x[n], padding, 0), g[n], sums[block, n % groups]
            for first in range(0, count, _STRIP):
                last = min(first + _STRIP, count)
                _transpose_strip(own, first, last, columns)
                for o in range(0, width, lane):
                    for k in range(0, depth, ROWS):
                        place = k * width + o
                        add_products(
                            image, places, k, corners, first, last, columns, o, total, place, width
                        )


@register_jitable
def _transpose_strip(g, first, last, columns):
    """columns[q - first, o] = g[o, q] for first <= q < last."""
    outputs, count = g.shape
    width, lane = columns.shape[1], lanes(g)
    tile = np.empty(ROWS * lane, g.dtype)
    for o in range(0, outputs, ROWS):
        whole = first
        if o + ROWS <= outputs:
            whole = last - (last - first) % lane
        for q in range(first, whole, lane):
            transpose(g, o * count + q, count, tile)
            for i in range(lane):
                copy(tile, i * ROWS, columns, (q - first + i) * width + o, ROWS)
        for r in range(o, min(o + ROWS, outputs)):
            for q in range(whole, last):
                columns[q - first, r] = g[r, q]


@twins(_GRAIN, "out")
def _scatter(g, filters, windows, outputs, corners, stretches, bordered, padding, out):
    """Of g [images, O, Q] and filters [groups, O, stretches, length]: out [images, C, H, W].

    A window's part in the gradient is computed for all its elements, then added to an image with
    the channels last. There it is some stretches of `length` numbers, the last of them zeros that
    fill a vector.
    """
    groups, _, _, length = filters.shape
    images, channels, height, width = out.shape
    lane, size = lanes(g), stretches.size * length
    for n in prange(images):
        image = np.zeros(bordered[0] * bordered[1] * channels + length, g.dtype)
        tiles = np.empty((ROWS, size), g.dtype)
        own, own_filters = g[n], filters[n % groups].reshape(outputs.size, size)
        for q in range(0, corners.size, ROWS):
            tiles[:] = 0
            for k in range(0, size, lane):
                add_products(
                    own, windows, q, outputs, 0, outputs.size, own_filters, k, tiles, k, size
                )
            for r in range(min(ROWS, corners.size - q)):
                for s in range(stretches.size):
                    place, source = corners[q + r] + stretches[s], r * size + s * length
                    for i in range(0, length, lane):
                        total = add(load(image, place + i), load(tiles, source + i))
                        store(image, place + i, total)
        for c in range(channels):
            for y in range(height):
                start = ((y + padding[0]) * bordered[1] + padding[2]) * channels + c
                for x in range(width):
                    out[n, c, y, x] = image[start + x * channels]

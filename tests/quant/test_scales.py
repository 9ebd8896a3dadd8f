"""Scales of 4 bits: at least as good as the plain rule in every group, and better than a peer's."""

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type

from tinynn.quant import from_gguf, quantize

RNG = np.random.default_rng(0)
SIZE = (48, 96)
WEIGHTS = {
    "normal": RNG.standard_normal(SIZE),
    "outliers": RNG.standard_t(2, SIZE),
    "few values": RNG.integers(-2, 3, SIZE) * 0.25,
    "one sign": 3 + RNG.random(SIZE),
    "far from zero": 1000 + RNG.random(SIZE),
    "one number": np.where(np.arange(96) % 32 == 5, 7.0, 0.0) * np.ones(SIZE),
    "constant": np.full(SIZE, 1.1),
    "near float16's smallest": RNG.standard_normal(SIZE) * 2e-7,
    "near float16's largest": RNG.standard_normal(SIZE).clip(-1, 1) * 5e5,
    "near float32's smallest": RNG.standard_normal(SIZE) * 1e-38,
    "zeros": np.zeros(SIZE),
}
PEER = {"int4": "Q4_1", "int4-symmetric": "Q4_0"}


def away(x):
    """float16 away from zero."""
    half = x.astype(np.float16)
    further = np.nextafter(half, np.where(x < 0, -np.inf, np.inf).astype(np.float16))
    return np.where(np.abs(half.astype(float)) < np.abs(x), further, half).astype(float)


def plainly(w, format):
    """The numbers that the rule of the format's first description gives."""
    x = w.astype(float).reshape(-1, 32)
    if format == "int4":
        low = x.min(axis=1, keepdims=True)
        offset = -away(-low) if (low >= 0).all() else low.astype(np.float16).astype(float)
        offset = np.where(
            offset > low, np.nextafter(offset.astype(np.float16), np.float16(-np.inf)), offset
        )
        scale, ends = away((x.max(axis=1, keepdims=True) - offset) / 15), (0, 15)
    else:
        top = np.take_along_axis(x, np.abs(x).argmax(axis=1)[:, None], axis=1)
        offset, scale, ends = 0, away(top / -8), (-8, 7)
    codes = np.rint((x - offset) / np.where(scale == 0, 1, scale)).clip(*ends)
    return codes * scale + offset


def squared(numbers, w):
    return np.square(numbers.reshape(-1, 32) - w.astype(float).reshape(-1, 32)).sum(axis=1)


@pytest.mark.parametrize("format", PEER)
@pytest.mark.parametrize("name", WEIGHTS)
def test_no_group_is_worse_than_by_the_plain_rule(name, format):
    w = WEIGHTS[name].astype(np.float32)
    if name == "near float16's largest":
        w = w if format == "int4-symmetric" else w / 16
    found, plain = squared(quantize(w, format).dequantize(), w), squared(plainly(w, format), w)
    rounding = np.sqrt(32) * np.abs(w).max() * 2.0**-23  # of numbers that are given in float32
    assert (np.sqrt(found) <= np.sqrt(plain) + rounding).all()
    if name == "normal":
        assert found.sum() < 0.93 * plain.sum()


@pytest.mark.parametrize("format", PEER)
def test_errors_are_smaller_than_those_of_ggufs_own_rounding(format):
    w = RNG.standard_normal((64, 512)).astype(np.float32)
    kind = getattr(Type, PEER[format])
    theirs = gguf.quants.dequantize(gguf.quants.quantize(w, kind), kind)
    found = quantize(w, format).dequantize()
    assert squared(found, w).sum() < 0.93 * squared(theirs, w).sum()


@pytest.mark.parametrize(("format", "kind"), PEER.items())
def test_weights_that_lie_on_a_grid_are_kept(format, kind):
    """A file in Q4_0 or Q4_1 that is rounded again to the same format loses nothing."""
    w = RNG.standard_normal((32, 256)).astype(np.float32)
    raw = gguf.quants.quantize(w, getattr(Type, kind))
    stored = from_gguf(raw, kind, w.shape).dequantize()
    again = quantize(stored, format).dequantize()
    error = squared(again, stored) / squared(np.zeros_like(stored), stored)
    assert error.max() < 1e-5

"""Attention over a set of keys from attention over its parts."""

from __future__ import annotations

from typing import Any

from tinynn.backend.devices import array_module
from tinynn.backend.reference.precision import narrowed, widened

Array = Any


def merge_attention(outs: Array, lses: Array, *, out: Array | None = None) -> tuple[Array, Array]:
    """The attention over all keys, from that over each part of them.

    With lse the logarithm of the sum of all lses' powers, out = sum over parts of
    exp(lses[part] - lse) outs[part]: exact, whatever the partition.

    Arguments:
        outs: [parts, ..., D] float, the results.
        lses: [parts, ...] float, the logarithms of the softmaxes' sums; -inf for a part without
            keys, whose result is not looked at.

    Returns (out, lse): [..., D] and [...]; 0 and -inf where all parts are empty.
    """
    xp, wide = array_module(outs), widened(outs)
    top = lses.max(axis=0)
    base = xp.where(top == -xp.inf, 0, top).astype(lses.dtype)
    weights = xp.exp(lses - base)
    total = weights.sum(axis=0)
    shares = weights / xp.where(total == 0, 1, total).astype(weights.dtype)
    parts = xp.where(shares[..., None] == 0, 0, wide)
    result = (parts * shares[..., None]).sum(axis=0).astype(wide.dtype)
    return narrowed(result, outs, out), (xp.log(total) + base).astype(lses.dtype)

"""Attention to keys and values that simply lie one after the other, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def attend(
    query: Array,
    keys: Array,
    values: Array,
    first: int,
    window: int | None = None,
    sinks: int = 0,
    scale: float | None = None,
) -> tuple[Array, Array]:
    """(out, lse) of tokens at positions first, first + 1, ... over [positions, kv_heads, width]."""
    group = query.shape[1] // keys.shape[1]
    scale = query.shape[2] ** -0.5 if scale is None else scale
    keys, values = (x.astype(np.float64).repeat(group, axis=1) for x in (keys, values))
    out, lse = np.zeros(query.shape), np.full(query.shape[:2], -np.inf)
    for row, token in enumerate(query.astype(np.float64)):
        position = first + row
        seen = [
            j for j in range(position + 1) if window is None or j > position - window or j < sinks
        ]
        if seen:
            scores = np.einsum("hd,jhd->jh", token, keys[seen]) * scale
            powers = np.exp(scores - scores.max(axis=0))
            out[row] = np.einsum("jh,jhd->hd", powers / powers.sum(axis=0), values[seen])
            lse[row] = scores.max(axis=0) + np.log(powers.sum(axis=0))
    return out, lse


def rounding(
    query: Array, keys: Array, values: Array, scale: float | None = None
) -> tuple[float, float]:
    """What scores and results are wrong by at most, for queries and powers rounded to 16 bits.

    Each is half a step of 1 / 32767 of the largest off; a share is off by twice its score's error.
    """
    half = 0.5 / 32767
    keys, values = np.nan_to_num(keys), np.nan_to_num(values)  # NaN where no query looks
    scale = query.shape[-1] ** -0.5 if scale is None else abs(scale)
    sizes = np.abs(keys).sum(axis=-1).max(initial=0)
    scores = half * np.abs(query.astype(float)).max(initial=0) * sizes * scale
    return scores, (2 * scores + half * len(keys)) * np.abs(values).max(initial=0)
